"""`kitestring backup export`: a backup's rows as plain Parquet files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option
from kitestring.cli.lean import leave_pandas_out


@click.command()
@click.argument("name", metavar="BACKUP")
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write; new, or empty",
)
@click.option(
    "-c", "--collection", "collections", multiple=True, metavar="NAME", help="Only this one"
)
@click.option("--partition", "partitions", multiple=True, metavar="NAME", help="Only this one")
@click.option(
    "--where",
    default="",
    metavar="EXPR",
    help='Only rows that match, such as: lang in ["de", "fr"] and year >= 2020',
)
@spec_option
@output_option("text", "json")
def export(
    name: str,
    folder: Path,
    collections: tuple[str, ...],
    partitions: tuple[str, ...],
    where: str,
    spec_file: str | None,
    output: str,
) -> int:
    """Write the rows of a backup, physical or logical, as Parquet files. No server is needed.

    BACKUP is an id, the beginning of one, or `latest`.
    """
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.logical.export import export as export_backup
    from kitestring.model.codec import to_plain
    from kitestring.render.backup import bytes_as_text

    leave_pandas_out()
    loaded = load_spec(spec_file)
    catalog = open_catalog(loaded)
    manifest = catalog.manifest(catalog.resolve(name, loaded.spec.cluster.name))
    made = export_backup(
        catalog,
        manifest,
        folder,
        collections=collections,
        partitions=partitions,
        where=where,
        on_event=note,
    )
    if output == "json":
        click.echo(json.dumps(to_plain(made)))
    else:
        size = f"{bytes_as_text(made.bytes)} in {made.seconds:.1f} s"
        click.echo(f"exported {manifest.id} to {folder}: {made.rows:,} rows, {size}")
    return 0
