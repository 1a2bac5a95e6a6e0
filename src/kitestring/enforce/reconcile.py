"""Observe, check, plan, apply, and look again: one pass of enforcement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from kitestring.clients.exclusive import exclusive
from kitestring.enforce.apply import STEPS, apply
from kitestring.enforce.definitions import definition_steps, keep_definitions
from kitestring.enforce.objects import SpecSession
from kitestring.enforce.plan import Plan, Refusal, plan
from kitestring.errors import EnforceError
from kitestring.model.action import Action
from kitestring.model.evidence import ALL
from kitestring.model.finding import Severity
from kitestring.model.snapshot import Snapshot
from kitestring.objects.base import Server
from kitestring.spec.loaded import LoadedSpec

# What a step can answer. Which segments are in memory with which index is not among it: that
# settles by itself within a minute of a load or a compaction, and `kitestring drift` tells of it.
CHECKS = ("schema", "index.missing", "index.drift", "load", "alias")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was to be done, what was done, and what is left to a human."""

    planned: tuple[Action, ...]
    done: tuple[Action, ...]
    unfixable: tuple[Refusal, ...]
    dry_run: bool

    @property
    def exit_code(self) -> int:
        """2 where something differs from the spec: still, or in a dry run."""
        pending = self.planned if self.dry_run else ()
        return 2 if pending or self.grave else 0

    @property
    def grave(self) -> tuple[Refusal, ...]:
        """What is left and fails a check; the rest are warnings."""
        return tuple(r for r in self.unfixable if r.severity is Severity.FAIL)

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "dry_run": self.dry_run,
            "planned": [a.as_dict() for a in self.planned],
            "done": [a.as_dict() for a in self.done],
            "unfixable": [r.as_dict() for r in self.unfixable],
        }


def reconcile(
    loaded: LoadedSpec,
    *,
    dry_run: bool = False,
    on_event: Callable[[Action], None] = lambda _: None,
) -> Reconciliation:
    """Brings definitions, load state, aliases and access back to the spec. Rows are not touched.

    First collections, indexes, load state and aliases, then partitions, properties, roles, grants
    and users.

    After the steps the cluster is observed again: a difference that is still there is an error.

    Raises:
        EnforceBusy: another reconciliation of this spec's state is under way.
        EnforceError: the steps were taken and the server still differs.
        MilvusError, LocalNotRunning, SecretMissing: the server could not be asked, or refused.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.observe import observe
    from kitestring.observe.seen import as_seen

    with (
        exclusive(loaded.state_dir / "reconcile.lock", "reconciliation", dry_run=dry_run),
        connect(loaded) as milvus,
    ):

        def look() -> Plan:
            snapshot = observe(loaded, milvus, wanted=())
            return differing(loaded, as_seen(milvus, snapshot), snapshot)

        first = look()
        if dry_run or not first.actions:
            return Reconciliation(first.actions, (), first.unfixable, dry_run)
        steps = [action for action in first.actions if action.kind in STEPS]
        done = [
            *apply(loaded, milvus, steps, on_event),
            *keep_definitions(loaded, SpecSession(loaded, milvus)),
        ]
        second = look()
    if second.actions:
        left = "; ".join(f"{a.subject}: {a.reason}" for a in second.actions)
        raise EnforceError(
            f"after {len(done)} steps the server still differs from the spec: {left}",
            hint="somebody else may be changing it; run again",
            subject=second.actions[0].subject,
        )
    return Reconciliation(first.actions, tuple(done), second.unfixable, dry_run)


def differing(loaded: LoadedSpec, seen: Server, snapshot: Snapshot) -> Plan:
    """What of an observation differs from the spec: the steps that mend it, and what none does.

    Args:
        seen: is asked for what no snapshot has: users, roles and grants.

    Raises:
        SecretMissing: the password of a user of the spec can't be had.
        MilvusError: the server could not be asked.
    """
    from kitestring.drift.run import run_drift

    report = run_drift(loaded, snapshot, only=CHECKS, without=ALL)
    definitions = definition_steps(loaded, SpecSession(loaded, seen))
    answered = {(step.check, step.subject) for step in definitions}
    left = [f for f in report.counted if (f.check, f.subject) not in answered]
    found = plan(loaded, snapshot, left)
    return replace(found, actions=(*found.actions, *definitions))
