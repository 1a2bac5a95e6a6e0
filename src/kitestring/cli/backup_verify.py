"""`kitestring backup verify`: prove a backup whole."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option
from kitestring.cli.lean import leave_pandas_out


@click.command()
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

    leave_pandas_out()
    loaded = load_spec(spec_file)
    catalog = open_catalog(loaded)
    backup_id = catalog.resolve(name, loaded.spec.cluster.name, unreadable=True)
    result = verify_backup(catalog, backup_id, tier=tier, on_event=note)
    if output == "json":
        document = {"schema_version": 1, "passed": result.passed, **to_plain(result)}
        click.echo(json.dumps(document))
        return 0 if result.passed else 2
    result.raise_if_damaged()
    read = f", {result.rows:,} rows read" if result.rows else ""
    click.echo(f"{result.id} is whole: {result.objects} objects, {result.hashed} hashed{read}")
    return 0
