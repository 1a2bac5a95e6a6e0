"""`kitestring compact`: compact the collections whose segments call for it."""

from __future__ import annotations

import click

from kitestring.cli.common import Number, load_spec, note, output_option, spec_option


@click.command()
@spec_option
@click.option(
    "--collection", "collections", multiple=True, help="Only this collection; may be repeated"
)
@click.option(
    "--force", is_flag=True, help="Compact without regard to the policy of the spec and its window"
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing")
@click.option(
    "--timeout",
    type=Number(min=1),
    help="Seconds to wait for one collection  [default: the spec's]",
)
@output_option("text", "json")
def compact(
    spec_file: str | None,
    collections: tuple[str, ...],
    force: bool,
    dry_run: bool,
    timeout: float | None,
    output: str,
) -> int:
    """Compact the collections whose segments call for it, and wait until that is done.

    The policy is `day2.compaction` of the spec. Outside of its window nothing is started, and where
    the disk has too little room the compaction is refused, even with `--force`.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.enforce.compaction import compact as run
    from kitestring.enforce.show import compaction_lines, results_json

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        results = run(
            loaded,
            milvus,
            collections=collections,
            force=force,
            dry_run=dry_run,
            timeout=timeout,
            on_event=note,
        )
    click.echo(
        results_json(results, dry_run=dry_run)
        if output == "json"
        else "\n".join(compaction_lines(results, dry_run=dry_run))
    )
    return 0
