"""Who wrote which field, from the `managedFields` that the API server keeps with each object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.clients.kube.paths import ABSENT, Part, Path, at, keyed, leaves

Tree = Mapping[Part, Any]

CONTROLLERS = frozenset(
    {
        "cloud-controller-manager",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-proxy",
        "kube-scheduler",
        "kubelet",
        "vpa-updater",
    }
)
"""Parts of Kubernetes that write fields of their own into objects."""


@dataclass(frozen=True, slots=True)
class Owner:
    """An entry of `managedFields`."""

    manager: str
    operation: str  # Apply, or Update for everything else
    at: str  # RFC 3339
    subresource: str  # such as `status` or `scale`
    fields: Tree

    def owns(self, path: Sequence[Part]) -> bool:
        """It wrote the field itself, or the whole of something around it."""
        tree: Tree = self.fields
        for part in path:
            inner = _inner(tree, part)
            if inner is None:
                # what is not broken down is owned as a whole
                return tree is not self.fields and not _parts(tree)
            tree = inner
        return True

    def leaves(self) -> Iterator[Path]:
        """Every field that it wrote, as deep as the entry tells."""
        yield from _leaves(self.fields, ())


def owners(live: Mapping[str, Any]) -> tuple[Owner, ...]:
    """The owners of an object's fields, the latest first."""
    entries = live.get("metadata", {}).get("managedFields") or ()
    found = [
        Owner(
            manager=str(entry.get("manager", "")),
            operation=str(entry.get("operation", "")),
            at=str(entry.get("time", "")),
            subresource=str(entry.get("subresource", "")),
            fields=_tree(entry.get("fieldsV1") or {}),
        )
        for entry in entries
    ]
    return tuple(sorted(found, key=lambda owner: owner.at, reverse=True))


def deployer(live: Mapping[str, Any], body: Mapping[str, Any]) -> Owner | None:
    """Who deployed the object: the one that owns most of what `body` declares."""
    declared = [p for p in leaves(body) if p[0] not in ("apiVersion", "kind")]
    best, most = None, 0
    for owner in owners(live):
        if owner.subresource:
            continue
        count = sum(owner.owns(path) for path in declared)
        # an object that is applied is owned twice where a webhook changed it
        if count > most or (count == most and owner.operation == "Apply" and count):
            best, most = owner, count
    return best


def foreign(live: Mapping[str, Any], ours: Owner | None) -> tuple[Owner, ...]:
    """Owners that are neither who deployed the object nor a part of Kubernetes."""
    mine = ours.manager if ours else ""
    return tuple(
        owner
        for owner in owners(live)
        if owner.manager != mine
        and owner.manager not in CONTROLLERS
        and owner.subresource != "status"
    )


def _tree(raw: Mapping[str, Any]) -> Tree:
    """`{"f:spec": {"k:{…}": …}}` with parts of paths as keys; `.` is left out."""
    found: dict[Part, Any] = {}
    for key, inner in raw.items():
        kind, _, rest = key.partition(":")
        part: Part
        if kind == "f":
            part = rest
        elif kind == "k":
            part = tuple(json.loads(rest).items())
        elif kind == "i":
            part = int(rest)
        elif kind == "v":
            part = (("", json.loads(rest)),)
        else:
            continue
        found[part] = _tree(inner)
    return found


def _parts(tree: Tree) -> bool:
    """It is broken down; an item of a set of values does not count."""
    return any(not (isinstance(p, tuple) and p and p[0][0] == "") for p in tree)


def _inner(tree: Tree, part: Part) -> Any:
    if part in tree:
        return tree[part]
    if isinstance(part, tuple):
        wanted = dict(part)
        for key, inner in tree.items():
            if isinstance(key, tuple) and key and key[0][0]:
                named = dict(key)
                if all(wanted.get(name, named[name]) == named[name] for name in named):
                    return inner
    return None


def _leaves(tree: Tree, path: Path) -> Iterator[Path]:
    if not _parts(tree):
        if path:
            yield path
        return
    for part, inner in tree.items():
        yield from _leaves(inner, (*path, part))


def declared(body: Mapping[str, Any], path: Sequence[Part]) -> bool:
    """The body says something at this path, or of the whole around it."""
    for end in range(1, len(path) + 1):
        value = at(body, path[:end])
        if value is ABSENT:
            return False
        if not isinstance(value, Mapping) and keyed(path[end - 1], value) is None:
            return True
    return True
