"""What is live on Kubernetes, set against what a deployment's spec gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["hand", "spec", "unknown"]
"""Why a field differs: somebody changed it (`hand`), what deployed it would write another value
today (`spec`: the spec changed and was not applied), or nothing tells (`unknown`)."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object, and what in the spec it comes from."""

    kind: str
    name: str
    namespace: str | None = None
    component: str = ""
    spec_path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        parts = (self.kind, self.namespace, self.name)
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that differs. Values are text for people; secret ones are masked.

    `expected` or `observed` is empty where the field should not be there, or is not.
    """

    path: str  # spec.template.spec.containers[milvus].image
    expected: str
    observed: str
    origin: Origin = "unknown"
    manager: str = ""  # who wrote what is live, as the API server recorded it
    at: str = ""  # when, RFC 3339
    declared: bool = True  # False: the spec says nothing of it; somebody added it


@dataclass(frozen=True, slots=True)
class ChangedObject:
    """An object that is there and differs."""

    ref: ObjectRef
    changes: tuple[FieldChange, ...]
    rejected: str = ""  # why the API server would not take the spec's version in place


@dataclass(frozen=True, slots=True)
class NotReady:
    """A workload whose pods are not all ready, or a claim whose volume is not as large as asked."""

    ref: ObjectRef
    wanted: str
    observed: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExtraObject:
    """An object that says it belongs to this deployment, and does not."""

    ref: ObjectRef
    manager: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class InfraSnapshot:
    """One comparison of a deployment with what is live.

    `available` False: it could not be made, and `reason` says why; nothing is proved then.
    """

    available: bool
    reason: str = ""
    source: Literal["cluster", "pulumi"] = "cluster"
    target: str = ""  # which cluster, or which stack
    objects: int = 0  # compared
    missing: tuple[ObjectRef, ...] = ()
    changed: tuple[ChangedObject, ...] = ()
    extra: tuple[ExtraObject, ...] = ()
    not_ready: tuple[NotReady, ...] = ()
    unseen: tuple[str, ...] = ()  # kinds that could not be listed, so that extra ones stay hidden
    seconds: float = 0.0

    @property
    def same(self) -> bool:
        """Nothing differs. Readiness is another matter."""
        return self.available and not (self.missing or self.changed or self.extra)
