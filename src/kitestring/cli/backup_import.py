"""`kitestring backup import`: take a backup of milvus-backup into the catalog."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.command("import")
@click.argument("place", metavar="PATH")
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="Only this one; may be repeated  [default: all of the database]",
)
@click.option("--database", metavar="NAME", help="Where the backup has several")
@click.option("--cluster", metavar="NAME", help="Whose backup it is  [default: the spec's]")
@click.option("--endpoint-url", metavar="URL", help="Of an S3 server that the spec does not name")
@spec_option
@output_option("text", "json")
def import_(
    place: str,
    collections: tuple[str, ...],
    database: str | None,
    cluster: str | None,
    endpoint_url: str | None,
    spec_file: str | None,
    output: str,
) -> int:
    """Take a backup made by milvus-backup into the catalog.

    PATH is its folder, with `meta/` and `binlogs/`: a directory, or s3://BUCKET/PREFIX. It is only
    read. Afterwards verify, export, restore and drill work on it as on any other backup.
    """
    from kitestring.backup.imported.folder import open_folder
    from kitestring.backup.imported.run import import_backup
    from kitestring.model.codec import to_plain
    from kitestring.render.backup import manifest_as_text

    loaded = load_spec(spec_file)
    done = import_backup(
        loaded,
        open_folder(loaded, place, endpoint_url=endpoint_url),
        collections=collections or None,
        database=database,
        cluster=cluster,
        on_event=note,
    )
    if not done.new:
        note(f"already imported as {done.manifest.id}")
    if output == "json":
        click.echo(json.dumps(to_plain(done.manifest)))
    else:
        click.echo(manifest_as_text(done.manifest))
    return 0
