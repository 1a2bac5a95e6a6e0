"""A cluster in memory, for tests: objects, server-side apply, and who wrote which field.

It merges as the API server does for maps and keyed lists, and keeps `managedFields`. It fills in
no defaults and validates nothing, unless `reject` says so.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

from kitestring.clients.kube.kinds import RESOURCES
from kitestring.clients.kube.paths import ABSENT, Part, Path, at, keyed, leaves
from kitestring.clients.kube.protocol import FIELD_MANAGER, Object, Objects
from kitestring.errors import KubernetesError, ManifestRejected

_Key = tuple[str, str, str]


class FakeKube:
    """Implements `Kube`.

    `failure`, once set, is raised by every call: a server that went away, or a user that may not.
    `reject` is asked before each apply and may raise.
    """

    def __init__(self, *objects: Mapping[str, Any], version: tuple[int, int] = (1, 33)) -> None:
        self.objects: dict[_Key, Object] = {}
        self.failure: KubernetesError | None = None
        self.reject: Callable[[Mapping[str, Any]], None] = lambda manifest: None
        self.calls: list[str] = []
        self._version = version
        self._clock = 0
        for one in objects:
            self.put(one)

    @property
    def target(self) -> str:
        return "context `fake`"

    def put(self, body: Mapping[str, Any]) -> None:
        """Stores an object as it stands, status and all."""
        self.objects[_key(body)] = copy.deepcopy(dict(body))

    def version(self) -> tuple[int, int]:
        self._call("version")
        return self._version

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Object | None:
        self._call(f"get {kind}/{name}")
        return copy.deepcopy(self.objects.get((kind, namespace or "", name)))

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> Objects:
        self._call(f"list {kind}")
        wanted = [pair.split("=", 1) for pair in labels.split(",") if pair]
        return [
            copy.deepcopy(one)
            for (its_kind, space, _), one in sorted(self.objects.items())
            if its_kind == kind
            and (namespace is None or space == namespace)
            and all((one["metadata"].get("labels") or {}).get(k) == v for k, v in wanted)
        ]

    def apply_dry_run(
        self, manifest: Mapping[str, Any], field_manager: str = FIELD_MANAGER
    ) -> Object:
        self._call(f"dry-run {manifest['kind']}/{manifest['metadata']['name']}")
        return self._applied(manifest, field_manager)

    def apply(self, manifest: Mapping[str, Any], field_manager: str = FIELD_MANAGER) -> Object:
        self._call(f"apply {manifest['kind']}/{manifest['metadata']['name']}")
        result = self._applied(manifest, field_manager)
        self.put(result)
        return result

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        field_manager: str = FIELD_MANAGER,
    ) -> Object:
        self._call(f"patch {kind}/{name}")
        live = self.objects.get((kind, namespace or "", name))
        if live is None:
            raise KubernetesError(f"change {kind}/{name}: not found")
        result = _merged_patch(live, patch)
        written = [p for p in leaves(patch) if at(patch, p) is not None]
        result["metadata"]["managedFields"] = [
            *_without(live["metadata"].get("managedFields") or (), list(leaves(patch))),
            self._entry(field_manager, "Update", written),
        ]
        self.put(result)
        return copy.deepcopy(result)

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> bool:
        self._call(f"delete {kind}/{name}")
        return self.objects.pop((kind, namespace or "", name), None) is not None

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        found = self.get("v1", "Secret", name, namespace)
        if found is None:
            return None
        data = {k: base64.b64decode(v).decode() for k, v in (found.get("data") or {}).items()}
        return {**data, **(found.get("stringData") or {})}

    def storage_classes(self) -> Objects:
        return self.list("storage.k8s.io/v1", "StorageClass")

    def nodes(self) -> Objects:
        return self.list("v1", "Node")

    def _call(self, what: str) -> None:
        self.calls.append(what)
        if self.failure is not None:
            raise self.failure

    def _applied(self, manifest: Mapping[str, Any], manager: str) -> Object:
        resource = RESOURCES.get((manifest["apiVersion"], manifest["kind"]))
        if resource is None:
            raise ManifestRejected(f"the cluster has no kind {manifest['kind']}")
        self.reject(manifest)
        live = copy.deepcopy(self.objects.get(_key(manifest), {}))
        entries = (live.get("metadata") or {}).get("managedFields") or []
        mine = [p for p in leaves(manifest) if p[0] not in ("apiVersion", "kind")]
        mine = [p for p in mine if p not in (("metadata", "name"), ("metadata", "namespace"))]
        result: Object = _merged(live, manifest)
        others = []
        for entry in entries:
            if (entry["manager"], entry["operation"]) == (manager, "Apply"):
                # what this manager no longer names goes away
                for path in _paths(entry["fieldsV1"]):
                    gone = (path[:end] for end in range(1, len(path) + 1))
                    outermost = next((p for p in gone if at(manifest, p) is ABSENT), None)
                    if outermost is not None:
                        _take(result, outermost)
            else:
                others.append(entry)
        changed = [path for path in mine if at(live, path) != at(manifest, path)]
        result.setdefault("metadata", {})["managedFields"] = [
            *_without(others, changed),
            self._entry(manager, "Apply", mine),
        ]
        return result

    def _entry(self, manager: str, operation: str, paths: Any) -> dict[str, Any]:
        self._clock += 1
        tree: dict[str, Any] = {}
        for path in paths:
            inner = tree
            for part in path:
                inner = inner.setdefault(_written(part), {})
        return {
            "manager": manager,
            "operation": operation,
            "time": f"2026-01-01T00:00:{self._clock:02d}Z",
            "fieldsV1": tree,
        }


def _key(body: Mapping[str, Any]) -> _Key:
    metadata = body["metadata"]
    return str(body["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"])


def _written(part: Part) -> str:
    if isinstance(part, tuple):
        return "k:" + json.dumps(dict(part), separators=(",", ":"))
    return f"i:{part}" if isinstance(part, int) else f"f:{part}"


def _paths(tree: Mapping[str, Any], path: Path = ()) -> Any:
    if not tree:
        yield path
    for key, inner in tree.items():
        kind, _, rest = key.partition(":")
        part: Part = tuple(json.loads(rest).items()) if kind == "k" else rest
        yield from _paths(inner, (*path, part))


def _without(entries: Any, paths: Any) -> list[dict[str, Any]]:
    """Entries that no longer own the paths; empty ones are gone."""
    kept = []
    for entry in entries:
        rest = [p for p in _paths(entry["fieldsV1"]) if p not in paths]
        tree: dict[str, Any] = {}
        for path in rest:
            inner = tree
            for part in path:
                inner = inner.setdefault(_written(part), {})
        if tree:
            kept.append({**entry, "fieldsV1": tree})
    return kept


def _merged(live: Any, wanted: Any, field: Part | None = None) -> Any:
    """Server-side apply's merge: maps and keyed lists are laid over, the rest is replaced."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return {
            **live,
            **{key: _merged(live.get(key, ABSENT), wanted[key], key) for key in wanted},
        }
    there, named = keyed(field, live), keyed(field, wanted)
    if there is not None and named is not None:
        every = dict.fromkeys([*there, *named])
        return [_merged(there.get(k, ABSENT), named[k]) if k in named else there[k] for k in every]
    return copy.deepcopy(wanted)


def _merged_patch(live: Any, patch: Any) -> Any:
    """JSON merge patch: null takes away, lists are replaced."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = copy.deepcopy(dict(live)) if isinstance(live, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged_patch(result.get(key), value)
    return result


def _take(target: Any, path: Path) -> None:
    """Takes a field, or a keyed item, away."""
    holder, last = at(target, path[:-1]), path[-1]
    if isinstance(holder, dict) and isinstance(last, str):
        holder.pop(last, None)
    elif isinstance(holder, list) and isinstance(last, tuple):
        found = keyed(path[-2], holder) or {}
        if last in found:
            holder.remove(found[last])
