"""`kitestring reembed`: another embedding model for a live collection, with a way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option

if TYPE_CHECKING:
    from kitestring.spec.loaded import LoadedSpec

F = TypeVar("F", bound=Callable[..., Any])


def collection_option(*, required: bool = True) -> Callable[[F], F]:
    return click.option(
        "--collection", required=required, metavar="NAME", help="Collection of the spec, or alias"
    )


on_option = click.option(
    "--on",
    metavar="WHERE",
    help="What embeds the texts: serial, pool (processes), ray, or a Ray cluster's address",
)


@click.group()
def reembed() -> None:
    """Change the embedding model of a live collection, with a way back."""


@reembed.command()
@collection_option()
@click.option("--to", required=True, metavar="MODEL@VERSION", help="New model, of `models`")
@spec_option
@output_option("text", "json")
def plan(collection: str, to: str, spec_file: str | None, output: str) -> int:
    """Say what it would take and do. A sample of the texts is embedded; nothing is changed.

    Exit code 1 where it can't work.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.reembed.plan import plan as planned
    from kitestring.render.reembed import plan_text, reembed_json

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        found = planned(loaded, milvus, collection, to)
    click.echo(reembed_json(found) if output == "json" else plan_text(found), nl=False)
    return found.exit_code


@reembed.command()
@collection_option()
@click.option("--to", metavar="MODEL@VERSION", help="New model; not needed to go on")
@on_option
@spec_option
@output_option("text", "json")
def run(collection: str, to: str | None, on: str | None, spec_file: str | None, output: str) -> int:
    """Copy the rows into a shadow collection with the new model's vectors.

    Stopped or killed, it goes on where it was when called again. Clients and ingestion keep to
    the live collection meanwhile.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.reembed.run import run as copied
    from kitestring.render.progress import copy_progress

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus, copy_progress(quiet=_quiet()) as progress:
        copied(loaded, milvus, collection, to, on=on, progress=progress, on_event=note)
    return _show(load_spec(spec_file), collection, output)


@reembed.command()
@collection_option(required=False)
@spec_option
@output_option("text", "json")
def status(collection: str | None, spec_file: str | None, output: str) -> int:
    """Say what a re-embedding is at, and what to do next."""
    return _show(load_spec(spec_file), collection, output)


@reembed.command()
@collection_option()
@on_option
@spec_option
@output_option("text", "json")
def cutover(collection: str, on: str | None, spec_file: str | None, output: str) -> int:
    """Ask the gates; where all are met, put clients on the new collection.

    Exit codes: 0 done, 2 a gate was missed, 3 one could not be measured; then nothing changed
    for clients.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.reembed.cutover import cutover as switched
    from kitestring.reembed.status import next_step
    from kitestring.render.progress import copy_progress
    from kitestring.render.reembed import cutover_text, reembed_json

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus, copy_progress(quiet=_quiet()) as progress:
        report = switched(loaded, milvus, collection, on=on, progress=progress, on_event=note)
    if output == "json":
        click.echo(reembed_json(report, exit_code=report.exit_code), nl=False)
    else:
        todo = next_step(load_spec(spec_file), report.operation)
        text = cutover_text(report.operation, lag=report.lag, done=report.done, todo=todo)
        click.echo(text, nl=False)
    return report.exit_code


@reembed.command()
@collection_option()
@click.option("--discard", is_flag=True, help="Drop the new collection too, and end")
@spec_option
@output_option("text", "json")
def rollback(collection: str, discard: bool, spec_file: str | None, output: str) -> int:
    """Put clients back on the old collection; before a cutover, give up."""
    from kitestring.clients.milvus.connect import connect
    from kitestring.reembed.rollback import rollback as returned
    from kitestring.reembed.status import next_step
    from kitestring.render.reembed import reembed_json, rollback_text

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        report = returned(loaded, milvus, collection, discard=discard)
    if output == "json":
        click.echo(reembed_json(report), nl=False)
        return 0
    after = load_spec(spec_file)
    todo = next_step(after, report.operation)
    text = rollback_text(
        report.operation, report.seconds, report.ingested, after.edits(), todo=todo
    )
    click.echo(text, nl=False)
    return 0


@reembed.command()
@collection_option()
@click.option(
    "--accept-missing", is_flag=True, help="Also where rows are missing in the new collection"
)
@spec_option
@output_option("text", "json")
def finish(collection: str, accept_missing: bool, spec_file: str | None, output: str) -> int:
    """Drop the old collection, after the retention, once its rows are proven to be in the new one.

    Exit code 2 where rows are missing; nothing is dropped then.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.reembed.finish import finish as finished
    from kitestring.render.reembed import finish_text, reembed_json

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        report = finished(loaded, milvus, collection, accept_missing=accept_missing)
    if output == "json":
        click.echo(reembed_json(report), nl=False)
    else:
        text = finish_text(report.operation, report.rows, report.gone, report.accepted)
        click.echo(text, nl=False)
    return 0


def _show(loaded: LoadedSpec, collection: str | None, output: str) -> int:
    from kitestring.reembed.status import status as found
    from kitestring.render.reembed import status_json, status_text

    states = found(loaded, collection)
    click.echo(status_json(states) if output == "json" else status_text(states), nl=False)
    return 0


def _quiet() -> bool:
    return bool((click.get_current_context().find_root().obj or {}).get("quiet"))
