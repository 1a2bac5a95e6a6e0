"""`kitestring status`: the cluster on one screen."""

from __future__ import annotations

import sys

import click

from kitestring.cli.common import load_spec, output_option, spec_option


@click.command()
@spec_option
@click.option("--no-rows", is_flag=True, help="Do not read the rows: quicker, with estimates")
@output_option("text", "json")
def status(spec_file: str | None, no_rows: bool, output: str) -> int:
    """The cluster on one screen: collections, aliases, newest backup and drill.

    Facts only, no verdict: `kitestring drift` compares them with the spec.
    """
    loaded = load_spec(spec_file)
    from kitestring.clients.milvus.connect import connect
    from kitestring.model.evidence import Evidence
    from kitestring.observe import observe
    from kitestring.render.status import status_json, write_status

    with connect(loaded) as milvus:
        snapshot = observe(loaded, milvus, wanted=() if no_rows else [Evidence.ROWS])
    if output == "json":
        click.echo(status_json(loaded, snapshot, milvus.uri), nl=False)
    else:
        write_status(loaded, snapshot, milvus.uri, sys.stdout)
    return 0
