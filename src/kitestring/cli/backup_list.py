"""`kitestring backup list`: the backups of a store."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from kitestring.cli.common import load_spec, output_option, spec_option


@click.command("list")
@click.option(
    "--textfile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write metrics for node_exporter into this file, in one step",
)
@spec_option
@output_option("text", "json", "prometheus")
def list_(textfile: Path | None, spec_file: str | None, output: str) -> int:
    """List the backups of the spec's store, newest first.

    Exit code 2 when one of them can't be read.
    """
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.drill_history import open_history
    from kitestring.backup.metrics import catalog_metrics, write_metrics
    from kitestring.model.codec import to_plain
    from kitestring.render.backup_list import backups_as_text

    loaded = load_spec(spec_file)
    found = open_catalog(loaded).summaries()
    if textfile is not None:
        write_metrics(textfile, catalog_metrics(loaded, found))
    if output == "json":
        click.echo(json.dumps({"schema_version": 1, "backups": to_plain(found)}))
    elif output == "prometheus":
        click.echo(catalog_metrics(loaded, found), nl=False)
    else:
        drills = open_history(loaded).summaries()
        click.echo(backups_as_text(found, drills, int(time.time() * 1000)))
    return 0 if all(summary.readable for summary in found) else 2
