"""`kitestring scheduled`: what a crontab or a timer runs."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, note, spec_option

TASKS = ("compaction", "backup", "drill", "embedding", "drift")


@click.command()
@click.argument("task", type=click.Choice(TASKS))
@spec_option
def scheduled(task: str, spec_file: str | None) -> int:
    """Run a scheduled task: alone, logged below the spec's `state`, and told of when it fails.

    Says nothing after a success, so that cron mails nothing; otherwise what went wrong. The exit
    code is the task's.
    """
    from kitestring.enforce.scheduled import run_scheduled

    done = run_scheduled(load_spec(spec_file), task)
    if done.exit_code:
        for line in done.lines():
            note(line)
    return done.exit_code if done.exit_code >= 0 else 1
