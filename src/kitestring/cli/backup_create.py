"""`kitestring backup create`: make a backup."""

from __future__ import annotations

import json

import click

from kitestring.cli.budget import budget_of, budget_options
from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.command()
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="Only this one; may be repeated  [default: all of the spec]",
)
@click.option(
    "--read-back",
    type=click.Choice(("all", "new", "keys")),
    help="What is read out of the store again  [default: the spec's]",
)
@click.option(
    "--method",
    type=click.Choice(("auto", "physical", "logical")),
    help="How  [default: the spec's; see `kitestring backup methods`]",
)
@click.option("--where", default="", metavar="EXPR", help="Logical: only rows that match")
@click.option(
    "--partition", "partitions", multiple=True, metavar="NAME", help="Logical: only this one"
)
@click.option(
    "--via",
    type=click.Choice(("auto", "segments", "api")),
    default="auto",
    show_default=True,
    help="Logical: where rows are read",
)
@click.option("--full", is_flag=True, help="Logical: take nothing over from the backup before")
@budget_options
@spec_option
@output_option("text", "json")
def create(
    collections: tuple[str, ...],
    read_back: str | None,
    method: str | None,
    where: str,
    partitions: tuple[str, ...],
    via: str,
    full: bool,
    max_bytes_per_second: int | None,
    max_requests_per_second: float | None,
    spec_file: str | None,
    output: str,
) -> int:
    """Make a backup. Only what the store does not have yet is copied.

    `--method physical` copies segment files, `logical` writes rows as Parquet files; `auto` is
    physical where a drill has shown that it works for the version of the server.
    """
    from kitestring.backup.methods import make_backup
    from kitestring.clients.milvus.connect import connect
    from kitestring.render.backup import manifest_as_plain, manifest_as_text

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        made = make_backup(
            loaded,
            milvus,
            method=method,
            collections=collections or None,
            where=where,
            partitions=partitions,
            read_by=via,
            full=full,
            budget=budget_of(loaded, max_bytes_per_second, max_requests_per_second),
            read_back=read_back,
            on_event=note,
        )
    click.echo(json.dumps(manifest_as_plain(made)) if output == "json" else manifest_as_text(made))
    return 0
