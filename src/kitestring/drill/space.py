"""The namespace that a drill on Kubernetes stands in: one of its own, or one kept for drills.

One of its own is made and deleted, for which a user needs rights in every namespace. One that is
kept stays, and its objects go; a Role in it is enough, which is what a pod should have.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol

from kitestring.clients.kube.protocol import Kube
from kitestring.clients.milvus.waiting import wait_until
from kitestring.errors import DrillFailed, DrillRefused, KubernetesError, MilvusError
from kitestring.manifests.base import INSTANCE_LABEL, Bundle
from kitestring.manifests.drill_home import HOME
from kitestring.manifests.drill_target import LABEL

GONE = 300.0  # seconds that everything may take to go
BETWEEN = 2.0  # seconds at most between two looks
SINCE = "kitestring/drill-since"
"""Annotation of a kept namespace: since when a drill is at work in it, seconds since the epoch."""
_ABANDONED = 2 * 86400.0  # seconds after which nobody can be at work in a drill's own namespace
_AT_WORK = 6 * 3600.0  # seconds after which a kept one is taken again; a job is ended after four

Tell = Callable[[str], None]


class Space(Protocol):
    """Where a drill's server stands."""

    @property
    def name(self) -> str: ...

    @property
    def kept(self) -> bool:
        """Whether it outlives the drill."""

    def take(self, kube: Kube, bundle: Bundle, tell: Tell) -> None:
        """Raises DrillRefused where it is not for this drill."""

    def leave(self, kube: Kube, bundle: Bundle, tell: Tell) -> None:
        """Removes everything and waits until it is gone. Raises DrillFailed where it is not."""

    def discard(self, kube: Kube, bundle: Bundle) -> None:
        """Has everything removed, and waits for nothing."""

    def end(self) -> str:
        """The command that ends what was left standing."""


@dataclass(frozen=True)
class Own:
    """A namespace that is made for one drill and deleted with everything in it."""

    name: str
    kept: ClassVar[bool] = False

    def take(self, kube: Kube, bundle: Bundle, tell: Tell) -> None:
        for old in _abandoned(kube):
            tell(f"removing {old}, which a killed drill has left")
            _delete(kube, old)
        if kube.get("v1", "Namespace", self.name) is not None:
            raise DrillRefused(
                f"the namespace {self.name} is there already on {kube.target}: a drill removes "
                "what it is in, and takes none that is another's",
                subject=self.name,
            )

    def leave(self, kube: Kube, bundle: Bundle, tell: Tell) -> None:
        volumes = [
            str(claim["spec"]["volumeName"])
            for claim in kube.list("v1", "PersistentVolumeClaim", self.name)
            if claim["spec"].get("volumeName")
        ]
        held = [name for name in volumes if not _let_go(kube, name)]
        _delete(kube, self.name)
        tell(f"waiting for {self.name} to be gone")
        _await_gone(partial(_gone, kube, self.name), f"the drill's namespace {self.name}")
        if held:
            tell(f"the volumes {', '.join(held)} are kept by their storage class: delete them")

    def discard(self, kube: Kube, bundle: Bundle) -> None:
        _delete(kube, self.name)

    def end(self) -> str:
        return f"kubectl delete namespace {self.name}"


@dataclass(frozen=True)
class Kept:
    """A namespace that is there for the drills of a cluster, one at a time."""

    name: str
    cluster: str
    kept: ClassVar[bool] = True

    def take(self, kube: Kube, bundle: Bundle, tell: Tell) -> None:
        found = kube.get("v1", "Namespace", self.name)
        meta = found["metadata"] if found is not None else {}
        if (meta.get("labels") or {}).get(HOME) != self.cluster:
            raise DrillRefused(
                f"the namespace {self.name} of {kube.target} is not kept for drills of "
                f"{self.cluster}: "
                + (
                    "it is not there" if found is None else f"it has no label {HOME}={self.cluster}"
                ),
                hint="`deployment.jobs.drill_target: kubernetes` has one made, with the rights; or "
                f"`kubectl label namespace {self.name} {HOME}={self.cluster}`: drills remove what "
                "is in it",
                subject=self.name,
            )
        since = (meta.get("annotations") or {}).get(SINCE, "")
        if since.isdigit() and time.time() - int(since) < _AT_WORK:
            raise DrillRefused(
                f"another drill is at work in the namespace {self.name}, since "
                f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(int(since)))} UTC",
                hint="wait for it; if it was killed: "
                f"kubectl annotate namespace {self.name} {SINCE}-",
                subject=self.name,
            )
        # of two drills that come at once the server refuses the one that has seen an older state
        self._mark(kube, str(int(time.time())), meta.get("resourceVersion"))
        try:
            self._clear(kube, bundle)  # what a killed drill has left
            self._await(kube)
        except BaseException:
            self._mark(kube, None)
            raise

    def leave(self, kube: Kube, bundle: Bundle, tell: Tell) -> None:
        self._clear(kube, bundle)
        tell(f"waiting for {self.name} to be empty")
        self._await(kube)
        self._mark(kube, None)

    def discard(self, kube: Kube, bundle: Bundle) -> None:
        self._clear(kube, bundle)
        self._mark(kube, None)

    def end(self) -> str:
        return (
            f"kubectl -n {self.name} delete statefulset,service,configmap,secret,networkpolicy,pvc "
            f"-l {INSTANCE_LABEL}={self.cluster} && "
            f"kubectl annotate namespace {self.name} {SINCE}-"
        )

    def _mark(self, kube: Kube, since: str | None, version: str | None = None) -> None:
        meta: dict[str, object] = {"annotations": {SINCE: since}}
        if version:
            meta["resourceVersion"] = version
        kube.patch("v1", "Namespace", self.name, None, {"metadata": meta})

    def _clear(self, kube: Kube, bundle: Bundle) -> None:
        for one in reversed(bundle.manifests):
            kube.delete(one.api_version, one.kind, one.name, self.name)
        for plan in bundle.secrets:
            kube.delete("v1", "Secret", plan.name, self.name)

    def _await(self, kube: Kube) -> None:
        label = f"{INSTANCE_LABEL}={self.cluster}"

        def empty() -> bool:
            kinds = ("Pod", "PersistentVolumeClaim")
            return not any(kube.list("v1", kind, self.name, labels=label) for kind in kinds)

        _await_gone(empty, f"what the drill made in the namespace {self.name}")


def _await_gone(gone: Callable[[], bool], what: str) -> None:
    try:
        wait_until(gone, timeout=GONE, what=what, longest=BETWEEN)
    except MilvusError:
        raise DrillFailed(
            f"{what} is being deleted, and still there after {GONE:g} s",
            hint="the finalizers of what is left say what keeps it",
            subject=what,
        ) from None


def _gone(kube: Kube, namespace: str) -> bool:
    return kube.get("v1", "Namespace", namespace) is None


def _let_go(kube: Kube, volume: str) -> bool:
    """Whether a volume goes with its claim; where its class keeps it, that is changed."""
    try:
        found = kube.get("v1", "PersistentVolume", volume)
        if found is not None and found["spec"].get("persistentVolumeReclaimPolicy") == "Retain":
            freed = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
            kube.patch("v1", "PersistentVolume", volume, None, freed)
    except KubernetesError:
        return False
    return True


def _delete(kube: Kube, namespace: str) -> None:
    """Deletes a namespace if it is a drill's."""
    found = kube.get("v1", "Namespace", namespace)
    if found is not None and LABEL in (found["metadata"].get("labels") or {}):
        kube.delete("v1", "Namespace", namespace)


def _abandoned(kube: Kube) -> list[str]:
    """Namespaces that killed drills have left."""
    found = []
    for one in kube.list("v1", "Namespace"):
        made = (one["metadata"].get("labels") or {}).get(LABEL, "")
        if made.isdigit() and time.time() - int(made) > _ABANDONED:
            found.append(str(one["metadata"]["name"]))
    return found
