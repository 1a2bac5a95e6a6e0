"""`kitestring search`: find the passages that answer a question."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.command()
@click.argument("question")
@click.option("--collection", required=True, metavar="NAME", help="Collection or alias of the spec")
@click.option(
    "--limit", type=click.IntRange(1, 16384), help="Passages  [default: `search.top_k` of the spec]"
)
@click.option("--parents", is_flag=True, help="The larger passages around those found, each once")
@spec_option
@output_option("text", "json")
def search(
    question: str,
    collection: str,
    limit: int | None,
    parents: bool,
    spec_file: str | None,
    output: str,
) -> int:
    """Find the passages that answer a question.

    Each passage is shown with its score, document and chunk, the model that made its vector, and
    whether it passes the confidence of the spec.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.ingest.search import search as run
    from kitestring.render.ingest import search_json, search_notes, search_text

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        report = run(loaded, milvus, collection, question, limit=limit, parents=parents)
    for line in search_notes(report):
        note(line)
    text = search_json(report) if output == "json" else search_text(report, parents=parents)
    click.echo(text, nl=False)
    return 0
