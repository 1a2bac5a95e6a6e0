"""`kitestring restore`: bring a backup's collections back."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option
from kitestring.errors import UsageError


@click.command()
@click.argument("name", metavar="BACKUP")
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="Only this one; may be repeated  [default: all of the backup]",
)
@click.option(
    "--rename", "renames", multiple=True, metavar="OLD=NEW", help="Restore OLD under another name"
)
@click.option("--prefix", default="", metavar="TEXT", help="Put before the other names")
@click.option("--into", metavar="FILE", help="Spec of another cluster to restore to")
@click.option("--aliases/--no-aliases", default=True, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace collections of the same names")
@click.option("--yes", is_flag=True, help="Do not ask before collections are replaced")
@spec_option
@output_option("text", "json")
def restore(
    name: str,
    collections: tuple[str, ...],
    renames: tuple[str, ...],
    prefix: str,
    into: str | None,
    aliases: bool,
    overwrite: bool,
    yes: bool,
    spec_file: str | None,
    output: str,
) -> int:
    """Restore a backup: rows, indexes, load state and aliases.

    BACKUP is an id, the beginning of one, or `latest`. A collection that is there already is left
    alone, and the restore refused, unless `--overwrite`.
    """
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.restore import RestoreTarget
    from kitestring.backup.restore import restore as restore_backup
    from kitestring.clients.milvus.connect import connect
    from kitestring.clients.store.connect import open_segment_store
    from kitestring.model.codec import to_plain

    rename = parse_renames(renames)
    loaded = load_spec(spec_file)
    target = load_spec(into) if into else loaded
    catalog = open_catalog(loaded)
    manifest = catalog.manifest(catalog.resolve(name))
    if overwrite and not yes:
        asked = click.prompt("collections are replaced; type the backup's id to go on", err=True)
        if asked.strip() != manifest.id:
            raise click.Abort
    with connect(target) as milvus:
        result = restore_backup(
            catalog,
            manifest,
            RestoreTarget(milvus, *open_segment_store(target)),
            collections=collections or None,
            rename=rename,
            prefix=prefix,
            aliases=aliases,
            overwrite=overwrite,
            on_phase=lambda phase, seconds: note(f"{phase:8} {seconds:6.1f} s"),
        )
    if output == "json":
        click.echo(json.dumps({"schema_version": 1, "backup": manifest.id, **to_plain(result)}))
        return 0
    names = ", ".join(
        new if old == new else f"{old} as {new}" for old, new in result.collections.items()
    )
    click.echo(f"restored {names} from {manifest.id}: {result.rows:,} rows")
    for line in result.notes:
        note(f"note: {line}")
    return 0


def parse_renames(renames: tuple[str, ...]) -> dict[str, str]:
    """`old=new` pairs as a dict.

    Raises:
        UsageError: one is not of that form, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in renames:
        old, sign, new = text.partition("=")
        if not (old and sign and new):
            raise UsageError(f"`--rename {text}` is not of the form OLD=NEW")
        if old in found:
            raise UsageError(f"`--rename` names `{old}` twice")
        found[old] = new
    return found
