"""`kitestring capacity`: what collections take of the pods that hold them."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, output_option, spec_option


@click.group()
def capacity() -> None:
    """Plan memory and volumes for what is loaded."""


@capacity.command()
@spec_option
@output_option("text", "json", "markdown")
@click.option(
    "--rows",
    "given",
    metavar="COLLECTION=N",
    multiple=True,
    help="Rows of a collection, in place of the spec's",
)
def plan(spec_file: str | None, output: str, given: tuple[str, ...]) -> int:
    """What each collection takes, and whether the pods of `deployment` can hold it.

    Exit code 0 when everything fits, 2 when it does not, 3 when rows are not known.
    """
    from kitestring.capacity.plan import parse_rows
    from kitestring.capacity.plan import plan as planned
    from kitestring.render.capacity import plan_json, plan_markdown, plan_text

    rows = parse_rows(given)
    found = planned(load_spec(spec_file).spec, rows)
    write = {"text": plan_text, "json": plan_json, "markdown": plan_markdown}[output]
    click.echo(write(found), nl=False)
    return {True: 0, False: 2, None: 3}[found.fits]


@capacity.command()
@output_option("text", "json")
def calibration(output: str) -> int:
    """What the plan says of collections that were loaded and measured, and how far off it is.

    `python -m tests.bench capacity` in a checkout measures them again.
    """
    from kitestring.render.capacity import calibration_json, calibration_table

    click.echo(calibration_json() if output == "json" else calibration_table(), nl=False)
    return 0
