"""`kitestring backup delete`: delete one backup."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option, typed


@click.command()
@click.argument("name", metavar="BACKUP")
@click.option("--yes", is_flag=True, help="Do not ask for the id (for machines)")
@click.option("--force", is_flag=True, help="Also the last good one, or the newest proven one")
@click.option("--sweep-now", is_flag=True, help="Free what only it needs, without the next prune")
@spec_option
@output_option("text", "json")
def delete(
    name: str, yes: bool, force: bool, sweep_now: bool, spec_file: str | None, output: str
) -> int:
    """Delete one backup. BACKUP is an id, or the beginning of one.

    Its objects go with the next `backup prune`, once they are older than the grace period.
    """
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.delete import delete_backup
    from kitestring.model.codec import to_plain
    from kitestring.render.backup import bytes_as_text
    from kitestring.render.prune import outcome_lines

    loaded = load_spec(spec_file)
    backup_id = open_catalog(loaded).resolve(name, loaded.spec.cluster.name)
    if not yes:
        typed(f"{backup_id} will be gone; type its id to go on", backup_id)
    result = delete_backup(loaded, backup_id, force=force, sweep_now=sweep_now, on_event=note)
    plain = to_plain(result)
    if output == "json":
        click.echo(json.dumps({"schema_version": 1, **plain}))
    else:
        swept = f"; {result.objects} objects, {bytes_as_text(result.bytes)} freed"
        head = f"{backup_id} is deleted{swept if sweep_now else ''}"
        click.echo("\n".join([head, *outcome_lines(plain)]))
    return 0 if result.clean else 1
