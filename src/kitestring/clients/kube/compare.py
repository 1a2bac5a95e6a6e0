"""An object that is live beside the one that is wanted: which fields differ, and who wrote them.

Pure. What is compared is what the API server says an apply would give (a dry run), so its own
defaults and spellings (`1000m` and `1`) never show.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kitestring.clients.kube.owners import Owner, declared, deployer, foreign, owners
from kitestring.clients.kube.paths import (
    ABSENT,
    Part,
    Path,
    at,
    differences,
    dotted,
    leaves,
    path_text,
)
from kitestring.clients.kube.text import value_texts
from kitestring.model.infra import FieldChange, Origin
from kitestring.model.quantity import parse_quantity

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
REPLICAS = ("spec", "replicas")

# the API server's own; and what a user does not declare and tools write as they work
_SERVERS = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_TOOLS = (
    "argocd.argoproj.io/",
    "autoscaling.",
    "control-plane.alpha.kubernetes.io/",
    "deployment.kubernetes.io/",
    "deprecated.daemonset.template.generation",
    "kubectl.kubernetes.io/",
    "meta.helm.sh/",
    "pulumi.com/",
    "pv.kubernetes.io/",
    "volume.beta.kubernetes.io/",
    "volume.kubernetes.io/",
)


def wanted_body(
    body: Mapping[str, Any], live: Mapping[str, Any], ignore: Iterable[str]
) -> dict[str, Any]:
    """The body to apply: fields that are somebody else's have the value that is live.

    To leave them out instead would be to give them up: the API server would take them away.
    """
    result: dict[str, Any] = copy.deepcopy(dict(body))
    for text in ignore:
        path = dotted(text)
        if at(result, path) is not ABSENT or at(live, path) is not ABSENT:
            _put(result, path, at(live, path))
    return result


def changes(
    body: Mapping[str, Any],
    live: Mapping[str, Any],
    after: Mapping[str, Any],
    ignore: Iterable[str] = (),
) -> tuple[FieldChange, ...]:
    """What an apply of `body` would change.

    Args:
        body: what is wanted (see `wanted_body`).
        live: the object as it is.
        after: the object as a dry run says it would be.
        ignore: dotted paths that are somebody else's.
    """
    ours = deployer(live, body)
    left = [dotted(text) for text in ignore]
    kind = str(body["kind"])
    found = []
    for path in differences(_stripped(live), _stripped(after)):
        if any(path[: len(skip)] == skip for skip in left):
            continue
        # what the API server derives from a field that differs (the node ports of a Service
        # whose type changed) is no difference of its own; what we once declared is
        given_up = at(after, path) is ABSENT and ours is not None and ours.owns(path)
        if not (declared(body, path) or given_up):
            continue
        found.append(_change(kind, path, at(after, path), live, ours, declared(body, path)))
    return tuple(found)


def additions(
    body: Mapping[str, Any],
    live: Mapping[str, Any],
    ignore: Iterable[str] = (),
    *,
    after: Mapping[str, Any] | None = None,
    fresh: Mapping[str, Any] | None = None,
) -> tuple[FieldChange, ...]:
    """Fields that an apply would leave alone though nobody who deploys declared them.

    Those that another hand wrote, and those that an earlier client-side apply left behind.

    Args:
        after: the object as a dry run says it would be; what goes away then is not told.
        fresh: the object as it would be if it were made today; values that are the same in it
            are defaults, and not told.
    """
    ours = deployer(live, body)
    left = [dotted(text) for text in ignore]
    kind = str(body["kind"])
    candidates: dict[Path, Owner | None] = {}
    for other in foreign(live, ours):
        for path in other.leaves():
            candidates.setdefault(_undeclared_from(body, path), other)
    for path in _left_behind(live):
        candidates.setdefault(_undeclared_from(body, path), ours)
    found = []
    for path, owner in candidates.items():
        value = at(live, path)
        if value is ABSENT or _not_ours(path) or declared(body, path):
            continue
        if after is not None and at(after, path) is ABSENT:
            continue
        if any(path[: len(skip)] == skip for skip in left):
            continue
        default = ABSENT if fresh is None else at(fresh, path)
        if default == value:
            continue
        origin: Origin = "spec" if owner is not None and owner is ours else "hand"
        found.append(_made(kind, path, default, value, owner, origin, declared=False))
    return tuple(sorted(found, key=lambda change: change.path))


def refused_changes(body: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """What differs where the API server refuses a dry run: what is declared, set against what is
    live without its help; other spellings of a quantity are the same."""
    ours = deployer(live, body)
    kind = str(body["kind"])
    return tuple(
        _change(kind, path, at(body, path), live, ours, True)
        for path in leaves(body)
        if not _covers(at(live, path), at(body, path))
    )


def _covers(live: Any, wanted: Any) -> bool:
    """Whatever is wanted is live; more may be."""
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        return all(_covers(live.get(key, ABSENT), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(live, list):
        return len(wanted) == len(live) and all(
            _covers(one, two) for one, two in zip(live, wanted, strict=True)
        )
    if live == wanted or (wanted in (None, {}, []) and live is ABSENT):
        return True
    try:
        return parse_quantity(str(live)) == parse_quantity(str(wanted))
    except ValueError:
        return False


def apply_manager(live: Mapping[str, Any], body: Mapping[str, Any], otherwise: str) -> str:
    """As whom to dry-run: whoever deployed it by server-side apply, so that fields that are no
    longer declared go away in the dry run as they would in a real one."""
    ours = deployer(live, body)
    return ours.manager if ours and ours.operation == "Apply" else otherwise


def creator(live: Mapping[str, Any]) -> tuple[str, str]:
    """Manager and time of the entry that wrote most of an object, as far as it is known."""
    every = [owner for owner in owners(live) if not owner.subresource]
    if not every:
        return "", ""
    first = max(every, key=lambda owner: sum(path[0] != "metadata" for path in owner.leaves()))
    return first.manager, first.at


def _change(
    kind: str,
    path: Path,
    wanted: Any,
    live: Mapping[str, Any],
    ours: Owner | None,
    is_declared: bool,
) -> FieldChange:
    writers = [owner for owner in owners(live) if owner.subresource != "status"]
    value = at(live, path)
    if value is ABSENT:
        # who takes a field away leaves no trace
        return _made(kind, path, wanted, value, None, "unknown", declared=is_declared)
    writer = next((owner for owner in writers if owner.owns(path)), None)
    if writer is None:
        return _made(kind, path, wanted, value, None, "unknown", declared=is_declared)
    mine = ours is not None and writer.manager == ours.manager
    return _made(
        kind, path, wanted, value, writer, "spec" if mine else "hand", declared=is_declared
    )


def _made(
    kind: str,
    path: Path,
    wanted: Any,
    live: Any,
    owner: Owner | None,
    origin: Origin,
    *,
    declared: bool,
) -> FieldChange:
    expected, observed = value_texts(kind, path, wanted, live)
    return FieldChange(
        path=path_text(path),
        expected=expected,
        observed=observed,
        origin=origin,
        manager=_writer(owner),
        at=owner.at if owner else "",
        declared=declared,
    )


def _writer(owner: Owner | None) -> str:
    if owner is None:
        return ""
    return f"{owner.manager} ({owner.subresource})" if owner.subresource else owner.manager


def _stripped(live: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is the API server's own."""
    result = {key: value for key, value in live.items() if key != "status"}
    result["metadata"] = {
        key: value for key, value in live["metadata"].items() if key not in _SERVERS
    }
    notes = dict(result["metadata"].get("annotations") or {})
    notes.pop(LAST_APPLIED, None)
    result["metadata"]["annotations"] = notes
    return result


def _left_behind(live: Mapping[str, Any]) -> Iterator[Path]:
    """What the last client-side apply declared."""
    noted = at(live, ("metadata", "annotations", LAST_APPLIED))
    if isinstance(noted, str):
        try:
            yield from leaves(json.loads(noted))
        except ValueError:
            return


def _not_ours(path: Path) -> bool:
    """Not a field that people declare: the server's, a controller's or a tool's."""
    if path[0] in ("status", "apiVersion", "kind"):
        return True
    if path[0] == "metadata" and (len(path) < 3 or path[1] not in ("labels", "annotations")):
        return True
    for number, part in enumerate(path[:-1]):
        if part in ("annotations", "labels"):
            name = path[number + 1]
            return isinstance(name, str) and name.startswith(_TOOLS)
    return False


def _undeclared_from(body: Mapping[str, Any], path: Path) -> Path:
    """The outermost part that the body does not have: an added variable, not its name and value.
    Labels and annotations are told one by one."""
    for end in range(1, len(path) + 1):
        if at(body, path[:end]) is ABSENT:
            named = next((i for i, p in enumerate(path) if p in ("labels", "annotations")), -1)
            return path[: max(end, named + 2)] if named >= 0 else path[:end]
    return path


def _put(target: dict[str, Any], path: tuple[Part, ...], value: Any) -> None:
    """Sets a value at a dotted path; ABSENT takes it away."""
    inner: Any = target
    for part in path[:-1]:
        inner = inner[part] if isinstance(part, int) else inner.setdefault(part, {})
    last = path[-1]
    if value is not ABSENT:
        inner[last] = copy.deepcopy(value)
    elif isinstance(inner, dict):
        inner.pop(last, None)
