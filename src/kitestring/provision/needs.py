"""What a deployment needs of a cluster and does not make itself: is it there?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from kitestring.clients.kube.protocol import Kube, Object
from kitestring.errors import KubernetesDenied
from kitestring.manifests.base import Bundle, Manifest
from kitestring.model.finding import Severity
from kitestring.model.problem import Problem
from kitestring.model.quantity import parse_bytes, parse_quantity, shown_bytes
from kitestring.spec.deployment import Deployment, GivenTls, Kafka, Pulsar
from kitestring.spec.loaded import LoadedSpec

T = TypeVar("T")
_DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def storage_classes(
    loaded: LoadedSpec, bundle: Bundle, kube: Kube, live: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    """Classes that claims name exist (a default one where they name none), and those of claims
    that are to grow allow it."""
    classes, problem = _may(loaded, "storage-class", "storage classes", kube.storage_classes)
    if classes is None:
        yield from problem
        return
    known = {str(c["metadata"]["name"]): c for c in classes}
    default = any(
        (c["metadata"].get("annotations") or {}).get(note) == "true"
        for c in classes
        for note in _DEFAULT_CLASS
    )
    there = {str(o["metadata"]["name"]): o for o in live if o["kind"] == "PersistentVolumeClaim"}
    listed = ", ".join(f"`{name}`" for name in sorted(known)) or "none"
    told: set[str] = set()
    for claim in (m for m in bundle.manifests if m.kind == "PersistentVolumeClaim"):
        before = there.get(claim.name)
        if before is not None:
            yield from _growth(loaded, claim, before, known, told)
            continue
        name = claim.body["spec"].get("storageClassName")
        if name in told or (name is None and "" in told):
            continue
        if name is not None and name not in known:
            told.add(name)
            yield Problem(
                "storage-class",
                f"the cluster has no storage class `{name}`; it has {listed}",
                "name one of them, or make it",
                _place(loaded, claim, "storage_class"),
            )
        elif name is None and not default:
            told.add("")
            yield Problem(
                "storage-class",
                "the spec names no storage class, and the cluster has no default one; it has "
                + listed,
                "name one in `deployment.storage_class`",
                _place(loaded, claim),
            )


def _growth(
    loaded: LoadedSpec,
    claim: Manifest,
    before: Mapping[str, Any],
    known: Mapping[str, Object],
    told: set[str],
) -> Iterator[Problem]:
    wanted = parse_bytes(claim.body["spec"]["resources"]["requests"]["storage"])
    has = parse_bytes(before["spec"]["resources"]["requests"]["storage"])
    name = str(before["spec"].get("storageClassName") or "")
    if wanted <= has or f"grows {claim.component}" in told:
        return
    if not known.get(name, {}).get("allowVolumeExpansion"):
        told.add(f"grows {claim.component}")
        yield Problem(
            "storage-class",
            f"the volumes of {claim.component} are to grow from {shown_bytes(has)} to "
            f"{shown_bytes(wanted)}, and their storage class `{name}` does not allow it",
            "set `allowVolumeExpansion: true` on the class if its driver can, or keep the size",
            _place(loaded, claim, "size"),
        )


def priority_classes(loaded: LoadedSpec, bundle: Bundle, kube: Kube) -> Iterator[Problem]:
    """Priority classes that pods name exist."""
    wanted = {
        str(pod["priorityClassName"]): manifest
        for manifest, pod in _pods(bundle)
        if pod.get("priorityClassName")
    }
    for name, manifest in wanted.items():
        found, problem = _may(
            loaded,
            "priority-class",
            "priority classes",
            partial(_get, kube, "scheduling.k8s.io/v1", "PriorityClass", name),
        )
        if found is None:
            yield from problem
        elif not found:
            yield Problem(
                "priority-class",
                f"the cluster has no priority class `{name}`: pods that name it are not made",
                "make it, or name another in `placement.priority_class`",
                _first(
                    loaded,
                    ("deployment", "roles", manifest.component, "placement", "priority_class"),
                    ("deployment", "placement", "priority_class"),
                ),
            )


def secrets(
    loaded: LoadedSpec, deployment: Deployment, kube: Kube, *, there: bool
) -> Iterator[Problem]:
    """Secrets that the spec names exist, with the keys that are read from them.

    Args:
        there: the namespace exists.
    """
    wanted: list[tuple[str, tuple[str, ...], tuple[str | int, ...]]] = []
    tls, log = deployment.security.tls, deployment.message_log
    if isinstance(tls, GivenTls):
        keys: tuple[str, ...] = ("tls.crt", "tls.key", "ca.crt")
        wanted.append((tls.secret, keys, ("deployment", "security", "tls", "secret")))
    if isinstance(log, Kafka | Pulsar) and log.secret is not None:
        keys = ("username", "password") if isinstance(log, Kafka) else ("authParams",)
        wanted.append((log.secret, keys, ("deployment", "message_log", "secret")))
    for number, name in enumerate(deployment.images.pull_secrets):
        wanted.append((name, (), ("deployment", "images", "pull_secrets", number)))
    for name, keys, path in wanted:
        if not there:
            yield Problem(
                "secret",
                f"the spec names the Secret `{name}`, and its namespace "
                f"`{deployment.namespace}` is not there yet",
                "make both first, and say `create_namespace: false`",
                loaded.locate(*path),
            )
            continue
        found, problem = _may(
            loaded,
            "secret",
            "Secrets",
            partial(_get, kube, "v1", "Secret", name, deployment.namespace),
        )
        if found is None:
            yield from problem
            continue
        lacking = [key for key in keys if key not in (found.get("data") or {})]
        if not found:
            message = f"there is no Secret `{name}` in the namespace `{deployment.namespace}`"
        elif lacking:
            message = f"the Secret `{name}` has no key " + ", ".join(f"`{k}`" for k in lacking)
        else:
            continue
        yield Problem(
            "secret",
            message,
            "make it: pods that need it would wait for it"
            + (f"; it holds {', '.join(keys)}" if keys else ""),
            loaded.locate(*path),
        )


def nodes(loaded: LoadedSpec, bundle: Bundle, kube: Kube) -> Iterator[Problem]:
    """For each role there is a node with the memory and the cores that one of its pods asks for."""
    every, problem = _may(loaded, "nodes", "nodes", kube.nodes)
    if every is None:
        yield from problem
        return
    if not every:
        yield Problem(
            "nodes",
            "the cluster has no node: whether pods fit is not known",
            location=loaded.locate("deployment"),
            severity=Severity.WARN,
            inconclusive=True,
        )
        return
    for manifest, pod in _pods(bundle):
        chosen = [n for n in every if _matches(n, pod.get("nodeSelector") or {})]
        place = _first(
            loaded,
            ("deployment", "roles", manifest.component, "resources"),
            manifest.spec_path,
        )
        if not chosen:
            yield Problem(
                "nodes",
                f"no node has the labels that {manifest.component} asks for: "
                f"{pod.get('nodeSelector')}",
                "label nodes, or check that an autoscaler makes some",
                place,
                Severity.WARN,
            )
            continue
        memory, cpu = _asked(pod, "memory"), _asked(pod, "cpu")
        most = max(_offered(node, "memory") for node in chosen)
        cores = max(_offered(node, "cpu") for node in chosen)
        if memory > most:
            yield Problem(
                "nodes",
                f"a pod of {manifest.component} asks for {shown_bytes(memory)}, and the largest "
                f"node can give {shown_bytes(most)}",
                "`kitestring capacity plan` says what is needed; add larger nodes, or more "
                "replicas of less memory",
                place,
            )
        if cpu > cores:
            yield Problem(
                "nodes",
                f"a pod of {manifest.component} asks for {cpu:g} cores, and the largest node can "
                f"give {cores:g}",
                "ask for fewer, or add larger nodes",
                place,
            )


def _pods(bundle: Bundle) -> Iterator[tuple[Manifest, Mapping[str, Any]]]:
    for manifest in bundle.manifests:
        if manifest.kind in ("Deployment", "StatefulSet", "DaemonSet"):
            yield manifest, manifest.body["spec"]["template"]["spec"]


def _matches(node: Mapping[str, Any], selector: Mapping[str, str]) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _asked(pod: Mapping[str, Any], what: str) -> float:
    requests = (c.get("resources", {}).get("requests", {}) for c in pod["containers"])
    return sum(parse_quantity(str(r[what])) for r in requests if what in r)


def _offered(node: Mapping[str, Any], what: str) -> float:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return parse_quantity(str(allocatable.get(what, "0")))


def _first(loaded: LoadedSpec, *paths: tuple[str | int, ...]) -> Any:
    """Where the first of the keys that the file has stands."""
    path = next((p for p in paths if p in loaded.positions), paths[-1] or ("deployment",))
    return loaded.locate(*path)


def _place(loaded: LoadedSpec, manifest: Manifest, key: str = "") -> Any:
    """Where the manifest comes from; `key` of it, or of the deployment, where the file has it."""
    path = manifest.spec_path or ("deployment",)
    if not key:
        return loaded.locate(*path)
    return _first(loaded, (*path, key), ("deployment", key), path)


def _get(
    kube: Kube, api_version: str, kind: str, name: str, namespace: str | None = None
) -> Object:
    """Empty where there is none."""
    return kube.get(api_version, kind, name, namespace) or {}


def _may(
    loaded: LoadedSpec, check: str, what: str, read: Callable[[], T]
) -> tuple[T | None, list[Problem]]:
    """What was read; or None, and that this user may not."""
    try:
        return read(), []
    except KubernetesDenied as error:
        problem = Problem(
            check,
            f"{what} could not be looked at: {error.message}",
            "grant `get` and `list` on them, to have them checked",
            loaded.locate("deployment"),
            Severity.WARN,
            inconclusive=True,
        )
        return None, [problem]
