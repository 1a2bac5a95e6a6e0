"""`kitestring restore`: bring a backup's collections back."""

from __future__ import annotations

from pathlib import Path

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option, typed


@click.command()
@click.argument("name", metavar="[BACKUP]", required=False)
@click.option("--at", metavar="TIME", help="The newest backup that holds nothing later")
@click.option(
    "-c",
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="Only this one; may be repeated  [default: all of the backup]",
)
@click.option(
    "--partition", "partitions", multiple=True, metavar="NAME", help="Only this one of them"
)
@click.option(
    "--rename", "renames", multiple=True, metavar="OLD=NEW", help="Restore OLD under another name"
)
@click.option("--prefix", default="", metavar="TEXT", help="Put before the other names")
@click.option("--into", metavar="FILE", help="Spec of another cluster to restore to")
@click.option("--database", metavar="NAME", help="Restore into it; made when absent")
@click.option("--aliases/--no-aliases", default=True, show_default=True)
@click.option(
    "--access/--no-access",
    default=None,
    help="Users, roles and grants  [default: where the whole backup is restored]",
)
@click.option(
    "--user-passwords",
    type=click.Path(dir_okay=False, path_type=Path),
    help="`user: password` lines, for users that are absent",
)
@click.option("--overwrite", is_flag=True, help="Replace collections of the same names")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and how long it may take")
@click.option("--yes", is_flag=True, help="Do not ask before collections are replaced")
@spec_option
@output_option("text", "json")
def restore(
    name: str | None,
    at: str | None,
    collections: tuple[str, ...],
    partitions: tuple[str, ...],
    renames: tuple[str, ...],
    prefix: str,
    into: str | None,
    database: str | None,
    aliases: bool,
    access: bool | None,
    user_passwords: Path | None,
    overwrite: bool,
    dry_run: bool,
    yes: bool,
    spec_file: str | None,
    output: str,
) -> int:
    """Restore a backup: rows, indexes, load state, aliases, users, roles and grants.

    BACKUP is an id, the beginning of one, or `latest`. A collection that is there already is left
    alone, and the restore refused, unless `--overwrite`. Exit code 2 when something could not be
    restored; it is named.
    """
    from kitestring.backup.restore.request import Request, open_request
    from kitestring.render.restore import plan_json, plan_text, result_json, result_text

    loaded = load_spec(spec_file)
    request = Request(
        name, at, collections, partitions, renames, prefix, database, aliases, access,
        user_passwords, overwrite,
    )  # fmt: skip
    opened = open_request(loaded, load_spec(into) if into else loaded, request)
    for line in opened.notes:
        note(f"note: {line}")
    if dry_run:
        plan = opened.plan()
        click.echo(plan_json(plan) if output == "json" else plan_text(plan), nl=False)
        return 2 if plan.not_restorable else 0
    if overwrite and not yes:
        typed("collections are replaced; type the backup's id to go on", opened.manifest.id)
    result = opened.carry_out(lambda phase, seconds: note(f"{phase:12} {seconds:6.1f} s"), note)
    render = result_json if output == "json" else result_text
    click.echo(render(opened.manifest.id, result), nl=False)
    return 2 if result.not_restored else 0
