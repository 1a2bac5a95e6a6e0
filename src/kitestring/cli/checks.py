"""`kitestring checks`: what drift detection looks at."""

from __future__ import annotations

import sys
from pathlib import Path

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
@click.argument("check_id", metavar="ID")
def show(check_id: str) -> int:
    """Print what a check means, how it arises, and how to mend it."""
    from kitestring.checks.registry import find
    from kitestring.render.checks_pages import MARK

    page = _pages()[f"checks/{find(check_id).id}.md"]
    click.echo(page.replace(f"{MARK}\n\n", ""), nl=False)
    return 0


@checks.command()
@click.option("--to", "folder", metavar="DIR", help="Write the index and a page a check there")
def reference(folder: str | None) -> int:
    """Print the index of the checks as Markdown, or write it and every page."""
    made = _pages()
    if folder is None:
        click.echo(made["checks.md"], nl=False)
    else:
        from kitestring.clients.textfile import write_pages

        write_pages(Path(folder), made, within="checks")
    return 0


def _pages() -> dict[str, str]:
    from kitestring.checks.registry import CHECKS
    from kitestring.render.checks_pages import reference_pages

    return reference_pages([c.info for c in CHECKS], {c.id: c.requires for c in CHECKS})
