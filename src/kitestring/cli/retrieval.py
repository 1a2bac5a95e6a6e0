"""`kitestring retrieval`: from which score on an answer is to be trusted."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.group()
def retrieval() -> None:
    """Calibrate what the golden queries are held to."""


@retrieval.command()
@spec_option
@click.option("--collection", "name", metavar="NAME", required=True, help="Collection or alias")
@output_option("text", "json")
def calibrate(spec_file: str | None, name: str, output: str) -> int:
    """Find the score from which on best answers are right, and keep it for this model's version.

    Do it when the answers are known to be good, and again after the model was changed.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.errors import UsageError
    from kitestring.observe.retrieval import calibrate as find
    from kitestring.render.calibration import calibration_json, calibration_text

    loaded = load_spec(spec_file)
    collection = loaded.spec.collection(name)
    if collection is None or collection.golden is None:
        what = "no collection" if collection is None else "no golden queries for"
        raise UsageError(f"the spec has {what} `{name}`", hint="add it to the spec", subject=name)
    with connect(loaded) as milvus:
        made, path = find(loaded, milvus, collection)
    note(f"wrote {path}")
    show = calibration_json if output == "json" else calibration_text
    click.echo(show(made), nl=False)
    return 0
