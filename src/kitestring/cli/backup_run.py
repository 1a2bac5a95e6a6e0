"""`kitestring backup run`: what the schedule runs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.command()
@click.option(
    "--textfile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write metrics for node_exporter into this file, in one step",
)
@spec_option
@output_option("text", "json")
def run(textfile: Path | None, spec_file: str | None, output: str) -> int:
    """Make a backup, verify it by `day2.backup.verify`, prune by `backup.retention`.

    Exit code 2 when the new backup is damaged (then nothing is pruned), 1 when a part of the prune
    could not be done.
    """
    from kitestring.backup.metrics import refresh_metrics
    from kitestring.enforce.backups import keep_backups
    from kitestring.model.codec import to_plain
    from kitestring.render.prune import kept_as_text, kept_facts

    loaded = load_spec(spec_file)
    try:
        kept = keep_backups(loaded, force=True, on_event=note)
    finally:
        if textfile is not None:
            refresh_metrics(loaded, textfile)
    facts = kept_facts(to_plain(kept), kept.problems)
    click.echo(json.dumps(facts) if output == "json" else kept_as_text(facts))
    return kept.exit_code
