"""`kitestring spec`: check, show, schema, reference, adopt."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kitestring.cli.common import find_spec, note, output_option, spec_option


@click.group()
def spec() -> None:
    """Check, show or adopt a spec; print its JSON Schema."""


@spec.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@spec_option
@output_option("text", "json")
def check(files: tuple[str, ...], spec_file: str | None, output: str) -> int:
    """Check spec files: every error at once, each with its line.

    Exit code 0 when all are valid, else 1.
    """
    from kitestring.checks.registry import spec_problems
    from kitestring.spec import check as checking

    named = [*files, *([spec_file] if spec_file else [])]
    paths = [Path(f) for f in named] if named else [find_spec(None)]
    reports = [checking.check(path, more=spec_problems) for path in paths]
    if output == "json":
        click.echo(json.dumps(checking.as_dict(reports), indent=2))
    else:
        click.echo("\n".join(line for report in reports for line in report.lines()))
    failed = checking.summary(reports)
    if failed and output == "text":
        click.echo(f"error: {failed}", err=True)
    return 1 if failed else 0


@spec.command()
@click.argument("file", required=False)
@spec_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(("yaml", "json")),
    default="yaml",
    show_default=True,
    help="Format on stdout",
)
def show(file: str | None, spec_file: str | None, output: str) -> int:
    """Show the resolved spec, each value with its source.

    Of secrets it shows the name of the variable or file, which is all that a spec knows.
    """
    from kitestring.spec.load import load
    from kitestring.spec.show import show_dict, show_yaml

    loaded = load(find_spec(file or spec_file))
    if output == "json":
        click.echo(json.dumps(show_dict(loaded), indent=2, ensure_ascii=False))
    else:
        click.echo(show_yaml(loaded), nl=False)
    return 0


@spec.command()
def schema() -> int:
    """Print the JSON Schema of a spec."""
    from kitestring.spec.reference import json_schema

    click.echo(json_schema(), nl=False)
    return 0


@spec.command()
def reference() -> int:
    """Print the reference of a spec, in Markdown."""
    from kitestring.spec.reference import markdown

    click.echo(markdown(), nl=False)
    return 0


@spec.command()
@click.option("--uri", required=True, help="Address of the server, such as http://HOST:19530")
@click.option("--token-env", metavar="NAME", default="", help="Variable that holds the token")
@click.option("--database", default="default", show_default=True, help="Database to adopt")
@click.option("--ca-file", metavar="FILE", default="", help="Certificate authority, PEM")
@click.option("--name", help="Name of the cluster  [default: from the host]")
@click.option("--out", metavar="FILE", help="File to write  [default: stdout]")
@click.option("--force", is_flag=True, help="Overwrite the file")
def adopt(
    uri: str,
    token_env: str,
    database: str,
    ca_file: str,
    name: str | None,
    out: str | None,
    force: bool,
) -> int:
    """Write a spec from a live server.

    Names of the row contract are mapped onto the fields found; each guess has a comment.
    """
    from kitestring.spec import adopt as adopting

    cluster = name or adopting.cluster_name(uri)
    if out:
        adopting.refuse_existing(Path(out), force=force)
    server = {"token_env": token_env, "database": database, "ca_file": ca_file}
    bare = adopting.bare_spec(cluster, uri, **server)

    from kitestring.clients.milvus.connect import connect  # slow: only once the flags are right

    with connect(bare) as milvus:
        collections = [milvus.describe(c) for c in milvus.list_collections()]
        apart = any(c.in_groups for c in collections)  # not every user may see the groups
        groups = milvus.groups.all() if apart else ()
    found = adopting.adopt(cluster, uri, collections, groups=groups, **server)
    if out:
        from kitestring.clients.textfile import write_whole

        adopting.refuse_existing(Path(out), force=force)  # by now another may have made it
        write_whole(Path(out), found.text)
    else:
        click.echo(found.text, nl=False)
    for line in found.notes(out or "stdout"):
        note(line)
    return 0
