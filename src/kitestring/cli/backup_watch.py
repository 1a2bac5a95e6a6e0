"""`kitestring backup watch` and `cancel`: follow a running backup, and stop it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option

if TYPE_CHECKING:
    from kitestring.backup.watch import Sight


@click.command()
@click.option("--once", is_flag=True, help="Say how it stands, and end")
@spec_option
@output_option("text", "json")
def watch(once: bool, spec_file: str | None, output: str) -> int:
    """Follow the running backup; exit code 0 when it is done, 1 when it died.

    JSON is one document a line.
    """
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.watch import follow, sight

    catalog = open_catalog(load_spec(spec_file))
    code = 0
    for seen in iter([sight(catalog)]) if once else follow(catalog):
        click.echo(_as_json(seen) if output == "json" else _as_text(seen, catalog.store.url))
        code = seen.exit_code
    return code


@click.command()
@spec_option
def cancel(spec_file: str | None) -> int:
    """Stop the running backup. What it has copied is used by the next one."""
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.watch import cancel as cancel_job

    job = cancel_job(open_catalog(load_spec(spec_file)), tell=note)
    click.echo(f"{job.id} is stopped")
    return 0


def _as_json(seen: Sight) -> str:
    from kitestring.model.codec import to_plain

    return json.dumps({"schema_version": 1, "status": seen.status, "job": to_plain(seen.job)})


def _as_text(seen: Sight, url: str) -> str:
    from kitestring.backup.watch import DIED, DONE, RUNNING
    from kitestring.render.job import progress_as_text

    job = seen.job
    if job is None:
        return f"no backup runs in {url}"
    owner = f"process {job.owner.pid} on {job.owner.host}"
    if seen.status == RUNNING:
        return progress_as_text(
            job.id, owner, job.phase, job.collection, job.bytes_done, job.bytes_total,
            job.rate, job.eta,
        )  # fmt: skip
    if seen.status == DONE:
        return f"{job.id}: done"
    if seen.status == DIED:
        return f"{job.id}: died while {job.phase} ({owner}); the next backup goes on from there"
    return f"{job.id}: {seen.status}: {job.message} ({owner})"
