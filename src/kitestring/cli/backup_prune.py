"""`kitestring backup prune`: remove what the retention does not keep."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import Number, load_spec, note, output_option, spec_option


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing")
@click.option(
    "--price-per-gb-month",
    "price",
    type=Number(min=0),
    metavar="PRICE",
    help="Of the store, to tell the cost that is freed",
)
@spec_option
@output_option("text", "json")
def prune(dry_run: bool, price: float | None, spec_file: str | None, output: str) -> int:
    """Mark what no rule of `backup.retention` keeps; remove what was marked long enough.

    What is marked stays restorable until the grace period is over. The newest verified backup and
    the newest one that has passed a drill are never removed. Exit code 1 when the store refuses a
    deletion, or a part could not be done.
    """
    from kitestring.backup.prune import prune as prune_backups
    from kitestring.model.codec import to_plain
    from kitestring.render.prune import prune_as_text, prune_facts

    result = prune_backups(load_spec(spec_file), dry_run=dry_run, on_event=note)
    plain = to_plain(result)
    text = json.dumps(prune_facts(plain, price)) if output == "json" else ""
    click.echo(text or prune_as_text(plain, price))
    return 0 if result.clean else 1
