"""`kitestring ingest`: write documents into a collection, idempotently."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitestring.cli.common import Seconds, load_spec, note, output_option, spec_option

if TYPE_CHECKING:
    from kitestring.model.ingest import IngestReport


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--collection", required=True, metavar="NAME", help="Collection of the spec")
@spec_option
@click.option("--tenant", default="default", show_default=True, help="Tenant of these documents")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Document ids are relative to it  [default: each directory given]",
)
@click.option("--no-create", is_flag=True, help="Fail where the collection is not there")
@click.option("--prune", is_flag=True, help="Remove the tenant's documents that are not in PATHS")
@click.option(
    "--remove-emptied",
    is_flag=True,
    help="Also remove the documents of folders that are empty or have vanished all at once",
)
@click.option("--verify", is_flag=True, help="Compare all rows with the ledger first")
@click.option(
    "--allow-mixed", is_flag=True, help="Write where rows of another model or chunker are"
)
@click.option(
    "--wait",
    "patience",
    type=Seconds(),
    default="0s",
    metavar="TIME",
    help="Wait that long for another ingestion into the collection, such as 10m",
)
@click.option(
    "--watch", "follow", is_flag=True, help="Go on with what changes in PATHS, until stopped"
)
@click.option(
    "--every",
    type=Seconds(),
    default="2s",
    show_default=True,
    metavar="TIME",
    help="With --watch: between two looks at PATHS",
)
@output_option("text", "json")
def ingest(
    paths: tuple[Path, ...],
    collection: str,
    spec_file: str | None,
    tenant: str,
    root: Path | None,
    no_create: bool,
    prune: bool,
    remove_emptied: bool,
    verify: bool,
    allow_mixed: bool,
    patience: float,
    follow: bool,
    every: float,
    output: str,
) -> int:
    """Write documents into a collection, idempotently.

    PATHS are files, and directories with all that is below them: text, Markdown, HTML, PDF and
    reStructuredText. Unchanged documents are not embedded again; a run that was killed is
    continued by the next one. A document that has become shorter loses its last rows, and one
    that is no longer in a directory of PATHS loses all of them; `--prune` removes everything of
    the tenant that is not in PATHS. What can't be written is parked as a dead letter. Where all
    documents of a folder are gone at once, it may only be away, such as not mounted: they stay.

    Exit codes: 0 all documents are stored, 1 an error, or something is parked, 2 rows read back
    are not as written or a spot check failed, 3 spot checks could not be made,
    or a folder may be away, 130 stopped.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.ingest.run import ingest as run
    from kitestring.render.ingest import ingest_json, ingest_notes, ingest_text, pass_line
    from kitestring.render.progress import ingest_progress

    quiet = bool((click.get_current_context().find_root().obj or {}).get("quiet"))

    def one(unchanged: Collection[str] = ()) -> IngestReport:
        loaded = load_spec(spec_file)
        with connect(loaded) as milvus, ingest_progress(quiet=quiet or follow) as progress:
            return run(
                loaded,
                milvus,
                collection,
                paths,
                tenant=tenant,
                root=root,
                create=not no_create,
                prune=prune,
                verify=verify and not unchanged,
                allow_mixed=allow_mixed,
                wait=patience,
                waiting=lambda what: note(f"waiting: {what}"),
                allow_empty=follow,
                remove_emptied=remove_emptied,
                unchanged=unchanged,
                progress=progress,
            )

    if not follow:
        report = one()
        for line in ingest_notes(report):
            note(line)
        click.echo(ingest_json(report) if output == "json" else ingest_text(report), nl=False)
        return report.exit_code

    from kitestring.backup.interrupts import stoppable
    from kitestring.ingest.watch import Watch

    def done(report: IngestReport) -> None:
        note(pass_line(report))
        if output == "json":
            click.echo(ingest_json(report, line=True), nl=False)

    with stoppable():
        Watch(paths, one, note, done, root=root, every=every or 0.1).run()
    return 0
