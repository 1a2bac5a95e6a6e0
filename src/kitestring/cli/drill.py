"""`kitestring drill`: prove that a backup can be restored."""

from __future__ import annotations

from pathlib import Path

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option
from kitestring.errors import UsageError

out_option = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file, not to stdout"
)


@click.group()
def drill() -> None:
    """Restore a backup to an isolated server, and measure RPO, RTO and recall."""


@drill.command()
@spec_option
@click.option("--backup", default="latest", show_default=True, help="Id of the backup to restore")
@click.option("--at", metavar="TIME", help="The newest backup that holds nothing later")
@click.option(
    "--sample", type=float, metavar="PART", help="Restore segments with this part of the rows only"
)
@click.option(
    "--target-spec",
    metavar="FILE",
    help="Spec of a cluster to restore to, into a database of its own  [default: a second "
    "server on this machine]",
)
@click.option(
    "--target",
    type=click.Choice(("embedded", "kubernetes")),
    help="`kubernetes`: a server made from the spec's `deployment`, in a namespace of its own",
)
@click.option(
    "--namespace",
    metavar="NAME",
    help="With `--target kubernetes`: a namespace that is kept for drills  [default: one that is "
    "made and deleted]",
)
@output_option("text", "json", "html", "markdown")
@out_option
@click.option("--keep", is_flag=True, help="Leave the restored copy")
def run(
    spec_file: str | None,
    backup: str,
    at: str | None,
    sample: float | None,
    target_spec: str | None,
    target: str | None,
    namespace: str | None,
    output: str,
    out: Path | None,
    keep: bool,
) -> int:
    """Restore a backup into a server that is not the source, compare, record, tear down.

    Exit code 2 when an objective of the spec is missed or the backup does not restore.
    """
    from kitestring.drill.show import check_out, show_record

    if target is not None and target_spec is not None:
        raise UsageError("`--target` and `--target-spec` name two targets", hint="name one")
    if namespace is not None and target != "kubernetes":
        raise UsageError("`--namespace` is of a server on Kubernetes", hint="--target kubernetes")
    check_out(out)
    from kitestring.backup.restore.choose import parse_instant
    from kitestring.drill.run import run_drill

    record = run_drill(
        load_spec(spec_file),
        backup=backup,
        at=parse_instant(at) if at else None,
        sample=sample,
        target=load_spec(target_spec) if target_spec else None,
        on_kubernetes=target == "kubernetes",
        namespace=namespace,
        keep_target=keep,
        on_event=note,
    )
    show_record(record, output, out)
    return 0 if record.passed else 2


@drill.command("list")
@spec_option
@output_option("text", "json", "prometheus")
def list_(spec_file: str | None, output: str) -> int:
    """List the drills of the history, newest first. Exit code 1 when one can't be read."""
    from kitestring.backup.drill_history import open_history
    from kitestring.render.drill import drills_json, drills_text

    loaded = load_spec(spec_file)
    drills = open_history(loaded).summaries()
    if output == "prometheus":
        from kitestring.backup.metrics import drill_metrics

        click.echo(drill_metrics(loaded), nl=False)
    else:
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


@drill.command()
@spec_option
@output_option("text", "json", "html")
@out_option
def history(spec_file: str | None, output: str, out: Path | None) -> int:
    """Show how drills went over time. Exit code 1 when a record can't be read."""
    from kitestring.drill.show import check_out, read_history, show_history

    check_out(out)
    found = read_history(load_spec(spec_file))
    show_history(found, output, out)
    return 0 if all(d.readable for d in found.drills) else 1


@drill.command()
@click.argument("drill_id", metavar="[ID]", required=False)
@spec_option
@out_option
def report(drill_id: str | None, spec_file: str | None, out: Path | None) -> int:
    """Write one page: a drill (the newest, without ID) and the history of all."""
    from kitestring.drill.show import check_out, read_history, show_report

    check_out(out)
    loaded = load_spec(spec_file)
    show_report(loaded, read_history(loaded), drill_id or "latest", out)
    return 0
