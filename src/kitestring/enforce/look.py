"""What day 2 would do with a cluster, out of one observation of it. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kitestring.drift.run import applicable, run_drift
from kitestring.enforce.answers import compaction_answer, models_answer, reconciliation_answer
from kitestring.enforce.compaction import compact
from kitestring.enforce.embedding import FAMILY, judge
from kitestring.enforce.reconcile import Reconciliation, differing
from kitestring.errors import KitestringError
from kitestring.model.finding import Verdict
from kitestring.model.snapshot import Snapshot
from kitestring.objects.base import Server
from kitestring.observe.seen import as_seen
from kitestring.spec.loaded import LoadedSpec

EMBEDDING, RECONCILE, COMPACTION = "embedding", "reconcile", "compaction"
TASKS = (EMBEDDING, RECONCILE, COMPACTION)


@dataclass(frozen=True, slots=True)
class Look:
    """The answers of the tasks that have nothing to do; `open` are the others."""

    answers: dict[str, dict[str, Any]]

    @property
    def open(self) -> tuple[str, ...]:
        return tuple(task for task in TASKS if task not in self.answers)


def look(loaded: LoadedSpec) -> Look:
    """Observes the cluster once, and answers for each task that it leaves nothing to do for.

    A task that fails, for whatever reason, is left open: it tells by itself what is the matter.

    Raises:
        MilvusError, LocalNotRunning, SecretMissing: the server could not be observed.
    """
    from kitestring.clients.milvus.connect import connect
    from kitestring.observe import observe

    checks = applicable(loaded, [FAMILY])
    with connect(loaded) as milvus:
        wanted = [one for check in checks if (one := check.info.evidence)]
        snapshot = observe(loaded, milvus, wanted=wanted)
        return Look(dict(_answers(loaded, as_seen(milvus, snapshot), snapshot)))


def _answers(
    loaded: LoadedSpec, seen: Server, snapshot: Snapshot
) -> Iterator[tuple[str, dict[str, Any]]]:
    models = judge(run_drift(loaded, snapshot, only=[FAMILY]))
    if models.verdict is not Verdict.FAIL:
        yield EMBEDDING, models_answer(models)
    with suppress(KitestringError):
        plan = differing(loaded, seen, snapshot)
        result = Reconciliation(plan.actions, (), plan.unfixable, dry_run=True)
        if not result.exit_code:
            yield RECONCILE, reconciliation_answer(loaded, result)
    with suppress(KitestringError):
        compactions = compact(loaded, seen, dry_run=True)
        if not any(one.need.wanted for one in compactions):
            yield COMPACTION, compaction_answer(loaded, compactions)
