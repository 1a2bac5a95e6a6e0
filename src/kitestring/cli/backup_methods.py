"""`kitestring backup methods`: which method drills have proven for which server version."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.command()
@spec_option
@output_option("text", "json")
def methods(spec_file: str | None, output: str) -> int:
    """Say for which server versions drills have proven which method.

    `auto` backs up by the physical method where a drill of it has passed on the version of the
    server, else by the logical one. Exit code 1 when a drill record can't be read.
    """
    from kitestring.backup.methods import evidence, read_evidence
    from kitestring.render.methods import methods_as_json, methods_as_text

    records, problems = read_evidence(load_spec(spec_file))
    found = evidence(records)
    click.echo(json.dumps(methods_as_json(found)) if output == "json" else methods_as_text(found))
    for line in problems:
        note(f"warning: {line}")
    return 1 if problems else 0
