"""What `pulumi preview --refresh --json` or `pulumi refresh --preview-only --json` printed, as the
same snapshot that a comparison with the cluster gives. Pure.

A preview tells what an apply would do (`oldState` is what is live, `newState` what is wanted); a
refresh tells what became of what was deployed (`oldState` was deployed, `newState` is live).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kitestring.clients.kube.paths import ABSENT, Path, at, path_text
from kitestring.clients.kube.text import value_texts
from kitestring.errors import ProvisionError
from kitestring.model.infra import (
    ChangedObject,
    ExtraObject,
    FieldChange,
    InfraSnapshot,
    ObjectRef,
    Origin,
)

_STACK = "pulumi:pulumi:Stack"
_PROVIDERS = "pulumi:providers:"
_CHANGES = frozenset({"update", "replace", "create-replacement"})
_PATH = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')
_CONFLICT = re.compile(
    r'conflicts? with "(?P<manager>[^"]+)"(?: with subresource "(?P<sub>[^"]+)")?[^:]*:'
    r"(?P<fields>(?:\s*(?:- )?\.\S+)+)"
)


@dataclass(frozen=True, slots=True)
class _Step:
    op: str
    urn: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    diff: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str((self.new or self.old).get("type", ""))

    @property
    def custom(self) -> bool:
        """A resource that a provider makes, and not a component or a provider itself."""
        state = self.new or self.old
        return bool(state.get("custom", True)) and not self.type.startswith(_PROVIDERS)


def read_pulumi_json(text: str, source: str) -> InfraSnapshot:
    """The snapshot of what the engine printed.

    Args:
        source: where the text is from, for messages.

    Raises:
        ProvisionError: it is not what the engine prints, or the engine says that it failed.
    """
    try:
        data = json.loads(text)
        steps = [_step(raw) for raw in data["steps"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProvisionError(
            f"{source} is not what the Pulumi engine prints",
            hint="`pulumi preview --refresh --json --stack NAME > FILE`",
            subject=source,
        ) from None
    conflicts = _conflicts(data.get("diagnostics") or (), source)
    # a preview runs the program, so the stack itself has a step beside that of its refresh
    of_refresh = not any(s.op != "refresh" for s in steps if s.type == _STACK)
    refreshed = {step.urn: step for step in steps if step.op == "refresh"}
    if steps and not refreshed:
        raise ProvisionError(
            f"{source} compares the program with the stack's state, not with what is live",
            hint="add --refresh: `pulumi preview --refresh --json`",
            subject=source,
        )
    missing, extra, changed = [], [], []
    for step in steps:
        if not step.custom or step.type == _STACK or step.op in ("same", "refresh", "read"):
            continue
        if step.op == ("delete" if of_refresh else "create"):
            missing.append(_reference(step))
        elif step.op == "delete":
            extra.append(ExtraObject(_reference(step), "the stack"))
        elif step.op in _CHANGES:
            changed.append(_changed(step, refreshed.get(step.urn), of_refresh))
    told = {str(one.ref) for one in changed}
    for urn, fields in conflicts.items():
        ref = _reference(refreshed[urn]) if urn in refreshed else _from_urn(urn)
        if str(ref) not in told:
            changed.append(ChangedObject(ref, fields))
    return InfraSnapshot(
        available=True,
        source="pulumi",
        target=_stack_of(steps) or source,
        objects=sum((data.get("changeSummary") or {}).values()) or len(refreshed),
        missing=tuple(missing),
        changed=tuple(changed),
        extra=tuple(extra),
    )


def _step(raw: Mapping[str, Any]) -> _Step:
    return _Step(
        op=str(raw["op"]),
        urn=str(raw["urn"]),
        old=raw.get("oldState") or {},
        new=raw.get("newState") or {},
        diff=raw.get("detailedDiff") or {},
    )


def _changed(step: _Step, refresh: _Step | None, of_refresh: bool) -> ChangedObject:
    ref = _reference(step)
    changes = []
    for text in step.diff or dict.fromkeys(_tops(step)):
        path = parsed(text)
        wanted, live = _value(step.new, path), _value(step.old, path)
        if of_refresh:
            wanted, live = live, wanted
        expected, observed = value_texts(ref.kind, path, wanted, live)
        changes.append(
            FieldChange(
                path_text(path),
                expected,
                observed,
                origin=_origin(path, refresh, step.old, of_refresh),
                declared=wanted is not ABSENT,
            )
        )
    replaces = any(str(d.get("kind", "")).endswith("replace") for d in step.diff.values())
    rejected = "it would be deleted and made anew" if replaces or step.op != "update" else ""
    return ChangedObject(ref, tuple(changes), rejected)


def _origin(path: Path, refresh: _Step | None, live: Mapping[str, Any], of_refresh: bool) -> Origin:
    """By hand where what was deployed is no longer live; by the spec where it still is."""
    if of_refresh:
        return "hand"
    if refresh is None:
        return "unknown"
    return "spec" if _value(refresh.old, path) == _value(live, path) else "hand"


def _tops(step: _Step) -> Iterable[str]:
    """Top-level inputs that differ, for providers that say no more."""
    old, new = step.old.get("inputs") or {}, step.new.get("inputs") or {}
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _value(state: Mapping[str, Any], path: Path) -> Any:
    return at(state.get("inputs") or {}, path)


def parsed(text: str) -> Path:
    """`spec.containers[0].env["a.b"]` as a path."""
    return tuple(
        int(found[2]) if found[2] else found[1] or found[3].replace('\\"', '"')
        for found in _PATH.finditer(text)
    )


def _reference(step: _Step) -> ObjectRef:
    inputs = (step.new or step.old).get("inputs") or {}
    metadata = inputs.get("metadata") if isinstance(inputs, Mapping) else None
    fallback = _from_urn(step.urn)
    if not isinstance(metadata, Mapping) or not step.type.startswith("kubernetes:"):
        return fallback
    labels = metadata.get("labels") or {}
    return ObjectRef(
        fallback.kind,
        str(metadata.get("name", fallback.name)),
        metadata.get("namespace"),
        str(labels.get("app.kubernetes.io/component", "")).replace("-", "_"),
    )


def _from_urn(urn: str) -> ObjectRef:
    """`urn:pulumi:dev::infra::a$kubernetes:apps/v1:Deployment::dev-proxy`."""
    parts = urn.split("::")
    kind = parts[-2].rsplit("$", 1)[-1].rsplit(":", 1)[-1].rsplit("/", 1)[-1]
    return ObjectRef(kind, parts[-1])


def _conflicts(
    diagnostics: Iterable[Mapping[str, Any]], source: str
) -> dict[str, tuple[FieldChange, ...]]:
    """What the provider could not preview because somebody else owns the field by now.

    Raises:
        ProvisionError: the engine failed for another reason.
    """
    found: dict[str, tuple[FieldChange, ...]] = {}
    for said in diagnostics:
        message = str(said.get("message", "")).strip()
        if said.get("severity") != "error":
            continue
        fields = tuple(
            FieldChange(
                path.removeprefix("."),
                expected="what the stack gives",
                observed="another value",
                origin="hand",
                manager=one["manager"] + (f" ({one['sub']})" if one["sub"] else ""),
            )
            for one in _CONFLICT.finditer(message)
            for path in re.findall(r"\.\S+", one["fields"])
        )
        if fields:
            found[str(said.get("urn", ""))] = fields
        elif not (found and message.endswith("preview failed")):
            raise ProvisionError(
                f"the Pulumi engine failed: {' '.join(message.split())[:500]}",
                hint=f"see the rest of what it printed: {source}",
                subject=source,
            )
    return found


def _stack_of(steps: Iterable[_Step]) -> str:
    urn = next((step.urn for step in steps if step.type == _STACK), "")
    return f"the stack `{urn.split(':')[2]}`" if urn else ""
