"""`kitestring checks`: what drift detection looks at."""

from __future__ import annotations

import sys

import click

from kitestring.cli.common import output_option


@click.group()
def checks() -> None:
    """What drift detection looks at."""


@checks.command("list")
@output_option("text", "json")
def list_checks(output: str) -> int:
    """List the checks."""
    from kitestring.checks.registry import CHECKS

    infos = [check.info for check in CHECKS]
    if output == "json":
        import json

        from kitestring.render.json import checks_facts

        click.echo(json.dumps(checks_facts(infos), indent=2))
    else:
        from kitestring.render.findings import write_checks

        write_checks(infos, sys.stdout)
    return 0


@checks.command()
def reference() -> int:
    """Print the reference page of the checks as Markdown."""
    from kitestring.checks.registry import CHECKS
    from kitestring.render.markdown import checks_markdown

    click.echo(checks_markdown(check.info for check in CHECKS), nl=False)
    return 0
