"""`kitestring embedding`: which model made the stored vectors."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, spec_option
from kitestring.cli.report import destinations, report_options


@click.group()
def embedding() -> None:
    """Check which model made the stored vectors."""


@embedding.command()
@spec_option
@report_options
def check(spec_file: str | None, outputs: tuple[str, ...], out: str | None) -> int:
    """Compare the model label of every row with the spec.

    Exit codes: 0 all rows are of the spec's model, 2 others are there, 3 it could not be told.
    """
    from kitestring.drift import detect

    where = destinations(outputs, out)
    report = detect(load_spec(spec_file), only=("embedding",))
    where.write(report)
    return report.exit_code
