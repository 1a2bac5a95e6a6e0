"""`kitestring embedding`: whether the stored vectors are the model's."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option
from kitestring.cli.report import destinations, report_options

on_option = click.option(
    "--on",
    metavar="WHERE",
    help="What embeds the texts: serial, pool (processes), ray, or a Ray cluster's address",
)


@click.group()
def embedding() -> None:
    """Check that the stored vectors are the model's."""


@embedding.command()
@spec_option
@click.option("--rows", type=int, metavar="N", help="Texts embedded again  [default: the spec's]")
@on_option
@report_options
def check(
    spec_file: str | None,
    rows: int | None,
    on: str | None,
    outputs: tuple[str, ...],
    out: str | None,
) -> int:
    """Compare the rows with the spec's model: all labels, and where the vectors were signed off,
    stored texts embedded again.

    Exit codes: 0 all is of the spec's model, 2 it is not, 3 it could not be told.
    """
    from kitestring.canary.asked import with_canaries
    from kitestring.drift import detect

    where = destinations(outputs, out)
    report = detect(with_canaries(load_spec(spec_file), rows), only=("embedding",), on=on)
    where.write(report)
    return report.exit_code


@embedding.command("sign-off")
@spec_option
@click.option(
    "--collection", "names", multiple=True, metavar="NAME",
    help="Collection or alias; may be repeated  [default: those with a canary, or with a model]",
)  # fmt: skip
@click.option(
    "--rows", type=click.IntRange(20, 100_000), metavar="N",
    help="Stored texts embedded again  [default: the spec's, or 1000]",
)  # fmt: skip
@click.option("--seed", metavar="TEXT", help="Of the choice of rows  [default: a new one]")
@click.option("--accept", is_flag=True, help="Sign off vectors that do not look like the model's")
@click.option("--renew", is_flag=True, help="Replace an earlier sign-off")
@on_option
@output_option("text", "json")
def sign_off(
    spec_file: str | None,
    names: tuple[str, ...],
    rows: int | None,
    seed: str | None,
    accept: bool,
    renew: bool,
    on: str | None,
    output: str,
) -> int:
    """Keep what the model gives for stored texts now, for later checks to compare with.

    Do it when the vectors are known to be right, such as after everything was ingested.

    Exit codes: 0 signed off, 2 the vectors are not the model's, 1 it could not be done.
    """
    from kitestring.canary.asked import to_sign_off
    from kitestring.canary.sign_off import refuse_second
    from kitestring.canary.sign_off import sign_off as make
    from kitestring.clients.milvus.connect import connect
    from kitestring.parallel import Workers
    from kitestring.render.sign_off import sign_off_text, sign_offs_json
    from kitestring.spec.canary import Canary

    loaded = load_spec(spec_file)
    chosen = to_sign_off(loaded, names)
    if not renew:
        for collection in chosen:
            refuse_second(loaded, collection)
    made = []
    with connect(loaded) as milvus, Workers(on) as workers:
        for collection in chosen:
            signed = make(
                loaded, milvus, collection, rows=rows, seed=seed, accept=accept, renew=renew,
                workers=workers,
            )  # fmt: skip
            note(f"wrote {signed.file}")
            made.append(signed.sign_off)
            if output == "text":  # at once: the next one may take long, or be refused
                click.echo(sign_off_text(made[-1], (collection.canary or Canary()).rows), nl=False)
    if output == "json":
        click.echo(sign_offs_json(made, [(c.canary or Canary()).rows for c in chosen]), nl=False)
    return 0


@embedding.command("quarantine")
@spec_option
@click.option("--dry-run", is_flag=True, help="Say what would be set aside, and do nothing")
@output_option("text", "json")
def set_aside(spec_file: str | None, dry_run: bool, output: str) -> int:
    """Take rows whose label is another model's out of the collections.

    They are copied to a file in `quarantine` below the spec's `state` (without their vectors),
    deleted, and proven gone. The next ingestion writes their documents again.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.enforce.quarantine import quarantine
    from kitestring.enforce.show import quarantine_lines, results_json

    loaded = load_spec(spec_file)
    with connect(loaded) as milvus:
        results = quarantine(loaded, milvus, dry_run=dry_run, on_event=note)
    click.echo(
        results_json(results, dry_run=dry_run)
        if output == "json"
        else "\n".join(quarantine_lines(results, dry_run=dry_run))
    )
    return 0
