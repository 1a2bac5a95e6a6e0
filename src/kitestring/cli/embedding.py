"""`kitestring embedding`: which model made the stored vectors."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, output_option, spec_option
from kitestring.cli.drift import FORMATS, show


@click.group()
def embedding() -> None:
    """Check which model made the stored vectors."""


@embedding.command()
@spec_option
@output_option(*FORMATS)
@click.option("--out", metavar="FILE", help="Write the report to a file instead of stdout")
def check(spec_file: str | None, output: str, out: str | None) -> int:
    """Compare the model label of every row with the spec.

    Exit codes: 0 all rows are of the spec's model, 2 others are there, 3 it could not be told.
    """
    from kitestring.drift import detect

    report = detect(load_spec(spec_file), only=("embedding",))
    show(report, output, out)
    return report.exit_code
