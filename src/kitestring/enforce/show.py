"""What enforcement did, or would do, as lines of text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from kitestring.enforce.compaction import Compaction
from kitestring.enforce.quarantine import Quarantine
from kitestring.enforce.reconcile import Reconciliation
from kitestring.model.action import Action


def reconciliation_lines(result: Reconciliation) -> Iterator[str]:
    """Each step with what it changed, then what is left to a human."""
    steps = result.planned if result.dry_run else result.done
    for action in steps:
        yield from action_lines(action)
    for refusal in result.unfixable:
        yield f"left as it is: {refusal.subject} ({refusal.check})"
        yield f"  {refusal.reason}"
    if steps:
        yield f"{len(steps)} {'step' if len(steps) == 1 else 'steps'} " + (
            "would be taken" if result.dry_run else "taken"
        )
    elif not result.unfixable:
        yield "as the spec says: nothing to do"


def action_lines(action: Action) -> Iterator[str]:
    yield f"{action.kind} {action.subject}: {action.reason}"
    yield f"  - {action.before}"
    yield f"  + {action.after}"


def compaction_lines(results: Sequence[Compaction], *, dry_run: bool) -> Iterator[str]:
    """A line for each collection."""
    for r in results:
        if r.ran:
            what = "compacted" if r.changed else "compacted, which changed nothing"
            yield f"{r.collection}: {what} in {r.seconds:.1f} s ({r.need.reason})"
            yield f"  - {r.before}"
            yield f"  + {r.after}"
        elif dry_run and r.need.wanted:
            yield f"{r.collection}: would be compacted ({r.need.reason})"
        else:
            yield f"{r.collection}: {r.need.reason} ({r.before})"
    if not results:
        yield "no collection of the spec is on the server"


def quarantine_lines(results: Sequence[Quarantine], *, dry_run: bool) -> Iterator[str]:
    """A line for each collection."""
    for r in results:
        rows = f"{r.rows:,} {'row' if r.rows == 1 else 'rows'} of another model"
        if r.left:
            yield f"{r.collection}: left as it is: {r.left}"
        elif not r.rows:
            yield f"{r.collection}: no row of another model"
        elif dry_run:
            yield f"{r.collection}: {rows} would be set aside in {r.file}"
        else:
            yield f"{r.collection}: {rows} set aside in {r.file}"
    if not results:
        yield "the spec has no collections"


def results_json(results: Sequence[Compaction] | Sequence[Quarantine], *, dry_run: bool) -> str:
    """What was done, or would be, with each collection, as JSON."""
    facts = {
        "schema_version": 1,
        "dry_run": dry_run,
        "collections": [r.as_dict() for r in results],
    }
    return json.dumps(facts, indent=2)
