"""`kitestring backup`: create, list, show and verify backups."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.group()
def backup() -> None:
    """Create, list, show and verify backups."""


@backup.command()
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="Only this one; may be repeated  [default: all of the spec]",
)
@spec_option
@output_option("text", "json")
def create(collections: tuple[str, ...], spec_file: str | None, output: str) -> int:
    """Make a backup: only objects that the store does not have yet are copied."""
    from kitestring.backup.create import create_backup
    from kitestring.clients.milvus.connect import connect
    from kitestring.model.codec import to_plain
    from kitestring.render.backup import manifest_as_text

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        made = create_backup(loaded, milvus, collections=collections or None, on_event=note)
    click.echo(json.dumps(to_plain(made)) if output == "json" else manifest_as_text(made))
    return 0


@backup.command("list")
@spec_option
@output_option("text", "json")
def list_(spec_file: str | None, output: str) -> int:
    """List the backups of the spec's store, newest first."""
    from kitestring.backup.catalog import open_catalog
    from kitestring.model.codec import to_plain
    from kitestring.render.backup import summaries_as_text

    found = open_catalog(load_spec(spec_file)).summaries()
    if output == "json":
        click.echo(json.dumps({"schema_version": 1, "backups": to_plain(found)}))
    else:
        click.echo(summaries_as_text(found))
    return 0 if all(summary.readable for summary in found) else 2


@backup.command()
@click.argument("name", default="latest", metavar="[BACKUP]")
@spec_option
@output_option("text", "json")
def show(name: str, spec_file: str | None, output: str) -> int:
    """Show what a backup holds. BACKUP is an id, the beginning of one, or `latest`."""
    from kitestring.backup.catalog import open_catalog
    from kitestring.model.codec import to_plain
    from kitestring.render.backup import manifest_as_text

    catalog = open_catalog(load_spec(spec_file))
    manifest = catalog.manifest(catalog.resolve(name))
    click.echo(json.dumps(to_plain(manifest)) if output == "json" else manifest_as_text(manifest))
    return 0


@backup.command()
@click.argument("name", default="latest", metavar="[BACKUP]")
@click.option(
    "--tier",
    type=click.Choice(("list", "sample", "full")),
    default="full",
    show_default=True,
    help="list: sizes; sample: and a tenth of the checksums; full: all, and the rows",
)
@spec_option
@output_option("text", "json")
def verify(name: str, tier: str, spec_file: str | None, output: str) -> int:
    """Prove a backup whole without restoring it; exit code 2 when it is damaged."""
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.verify import verify as verify_backup
    from kitestring.model.codec import to_plain

    catalog = open_catalog(load_spec(spec_file))
    result = verify_backup(catalog, catalog.resolve(name), tier=tier, on_event=note)
    if output == "json":
        document = {"schema_version": 1, "passed": result.passed, **to_plain(result)}
        click.echo(json.dumps(document))
        return 0 if result.passed else 2
    result.raise_if_damaged()
    read = f", {result.rows:,} rows read" if result.rows else ""
    click.echo(f"{result.id} is whole: {result.objects} objects, {result.hashed} hashed{read}")
    return 0
