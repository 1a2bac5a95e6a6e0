"""What enforcement did, or would do, as plain values: what Ansible modules return. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kitestring.enforce.compaction import Compaction, as_actions
from kitestring.enforce.embedding import ModelCheck
from kitestring.enforce.reconcile import Reconciliation
from kitestring.model.action import Action
from kitestring.spec.loaded import LoadedSpec


def steps_answer(actions: Sequence[Action], header: str) -> dict[str, Any]:
    """Steps, and the diff of them: each subject with what it is and what it becomes."""
    return {
        "changed": bool(actions),
        "actions": [a.as_dict() for a in actions],
        "diff": {
            "before_header": header,
            "after_header": header,
            "before": "".join(f"{a.subject}: {a.before}\n" for a in actions),
            "after": "".join(f"{a.subject}: {a.after}\n" for a in actions),
        },
    }


def reconciliation_answer(loaded: LoadedSpec, result: Reconciliation) -> dict[str, Any]:
    actions = result.planned if result.dry_run else result.done
    return {
        **steps_answer(actions, loaded.spec.cluster.name),
        "unfixable": [r.as_dict() for r in result.unfixable],
    }


def compaction_answer(loaded: LoadedSpec, results: Sequence[Compaction]) -> dict[str, Any]:
    return {
        **steps_answer(as_actions(loaded, results), "segments"),
        "collections": [r.as_dict() for r in results],
    }


def models_answer(result: ModelCheck) -> dict[str, Any]:
    """With what is not known, and what is doubtful, as warnings."""
    unknown = [f"inconclusive: {line}" for line in result.lines(result.unknown)]
    return {
        "changed": False,
        **result.as_dict(),
        "warnings": [*unknown, *result.lines(result.doubtful)],
    }
