"""`kitestring reconcile`: bring the cluster back to its spec."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, note, output_option, spec_option


@click.command()
@spec_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing")
@output_option("text", "json")
def reconcile(spec_file: str | None, dry_run: bool, output: str) -> int:
    """Bring collections, indexes, load state and aliases back to the spec.

    Nothing is destroyed: what would need that is refused, and named.

    Exit codes: 0 as the spec says, 2 something differs and is left, or would be changed.
    """
    from kitestring.enforce.reconcile import reconcile as run
    from kitestring.enforce.show import reconciliation_lines

    result = run(
        load_spec(spec_file),
        dry_run=dry_run,
        on_event=lambda action: note(f"{action.kind} {action.subject}"),
    )
    click.echo(
        json.dumps(result.as_dict(), indent=2)
        if output == "json"
        else "\n".join(reconciliation_lines(result))
    )
    return result.exit_code
