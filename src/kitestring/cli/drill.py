"""`kitestring drill`: prove that a backup can be restored."""

from __future__ import annotations

from pathlib import Path

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option

out_option = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file, not to stdout"
)


@click.group()
def drill() -> None:
    """Restore a backup to an isolated server, and measure RPO, RTO and recall."""


@drill.command()
@spec_option
@click.option("--backup", default="latest", show_default=True, help="Id of the backup to restore")
@output_option("text", "json", "html", "markdown")
@out_option
@click.option("--keep", is_flag=True, help="Leave the restored server running")
def run(spec_file: str | None, backup: str, output: str, out: Path | None, keep: bool) -> int:
    """Restore a backup into a second server, compare, record, tear down.

    Exit code 2 when an objective of the spec is missed or the backup does not restore.
    """
    from kitestring.drill.show import check_out, show_record

    check_out(out)
    from kitestring.drill.run import run_drill

    record = run_drill(load_spec(spec_file), backup=backup, keep_target=keep, on_event=note)
    show_record(record, output, out)
    return 0 if record.passed else 2


@drill.command("list")
@spec_option
@output_option("text", "json")
def list_(spec_file: str | None, output: str) -> int:
    """List the drills of the history, newest first. Exit code 1 when one can't be read."""
    from kitestring.backup.drill_history import open_history
    from kitestring.render.drill import drills_json, drills_text

    drills = open_history(load_spec(spec_file)).summaries()
    click.echo(drills_json(drills) if output == "json" else drills_text(drills), nl=False)
    return 0 if all(d.readable for d in drills) else 1


@drill.command()
@click.argument("drill_id", metavar="ID", default="latest")
@spec_option
@output_option("text", "json", "html", "markdown")
@out_option
def show(drill_id: str, spec_file: str | None, output: str, out: Path | None) -> int:
    """Show the record of a drill; `latest` is the newest."""
    from kitestring.backup.drill_history import open_history
    from kitestring.drill.show import check_out, show_record

    check_out(out)
    show_record(open_history(load_spec(spec_file)).record(drill_id), output, out)
    return 0
