"""What would bring a cluster back to its spec, in a safe order. Pure.

Nothing is ever dropped but an index that is built again at once, and no alias is taken from a
collection that answers to one that can't. What would destroy or guess is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kitestring.checks.groups import misplaced
from kitestring.checks.index import index_differences
from kitestring.model.action import Action
from kitestring.model.collection import Index, IndexState, Schema
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.model.versions import adds_fields, cannot_add_fields
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec, IndexSpec
from kitestring.spec.schema import collection_schema, wanted_index

WHY_NOT = {
    "schema": "a schema can't be changed without rewriting rows; create a new collection, "
    "ingest into it, and move the alias",
    "rows": "only ingestion knows the documents; run `kitestring ingest` again",
    "embedding": "rows have to be embedded again; run `kitestring ingest` again",
    "chunking": "documents have to be cut again; run `kitestring ingest` again",
    "backup": "`kitestring backup create`, or the role `backup`, takes care of it",
    "drill": "`kitestring drill run` takes care of it",
    "groups": "`pulumi up`, or somebody who may, gives the group its query nodes",
    "index": "the server is still at it, or a human has to look",
}
BUILD_FAILED = "the server failed to build it"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A difference that enforcement leaves as it is."""

    check: str
    subject: str
    reason: str
    severity: Severity = Severity.FAIL

    def as_dict(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "subject": self.subject,
            "reason": self.reason,
            "severity": self.severity.value,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    actions: tuple[Action, ...]
    unfixable: tuple[Refusal, ...]


def plan(loaded: LoadedSpec, snapshot: Snapshot, findings: Iterable[Finding] = ()) -> Plan:
    """The steps from what is to what the spec wants, and what no step is taken for.

    Collections come in the order of the spec. Within one: create it, its indexes, load it, and
    only then point aliases at it. Of `findings`, those that no step answers become refusals; what
    is inconclusive, or for information only, is left out.
    """
    actions: list[Action] = []
    unfixable: list[Refusal] = []
    for collection in loaded.spec.collections:
        steps = _Steps(loaded, snapshot, collection)
        for step in (*steps.before_aliases(), *steps.aliases()):
            if isinstance(step, Refusal):
                unfixable.append(step)
            else:
                actions.append(step)
    answered = {(a.check, a.subject) for a in actions} | {(r.check, r.subject) for r in unfixable}
    for finding in findings:
        if (
            finding.inconclusive
            or finding.severity is Severity.INFO
            or (finding.check, finding.subject) in answered
        ):
            continue
        reason = WHY_NOT.get(finding.check.split(".")[0], "it is left to a human")
        unfixable.append(
            Refusal(
                finding.check, finding.subject, f"{finding.message}; {reason}", finding.severity
            )
        )
    return Plan(tuple(actions), tuple(unfixable))


class _Steps:
    """The steps of one collection."""

    def __init__(self, loaded: LoadedSpec, snapshot: Snapshot, spec: CollectionSpec) -> None:
        self.snapshot = snapshot
        self.spec = spec
        self.wanted = collection_schema(loaded.spec, spec)
        self.subject = f"{loaded.spec.cluster.name}/{spec.name}"
        self.seen: ObservedCollection | None = snapshot.collections.get(spec.name)

    def before_aliases(self) -> Iterator[Action | Refusal]:
        if self.seen is None:
            yield self._action(
                "create-collection",
                "the server has no such collection",
                "absent",
                "created, without rows",
                "schema.missing-collection",
            )
        else:
            yield from self._fields(self.seen.info.schema)
        for index in self.spec.indexes:
            yield from self._index(index)
        yield from self._load()

    def _fields(self, there: Schema) -> Iterator[Action | Refusal]:
        version = self.snapshot.server_version
        for field in self.wanted.fields:
            if there.field(field.name) is not None or not field.addable:
                continue
            if adds_fields(version):
                yield self._action(
                    "add-field",
                    f"the field `{field.name}` is missing",
                    "absent",
                    str(field),
                    "schema.drift",
                    f"field/{field.name}",
                )
            else:
                reason = f"the field `{field.name}` is missing; {cannot_add_fields(version)}"
                yield Refusal("schema.drift", f"{self.subject}/field/{field.name}", reason)

    def _index(self, index: IndexSpec) -> Iterator[Action]:
        wanted = wanted_index(index)
        have = self._index_on(index.field)
        if have is None:
            yield self._action(
                "create-index",
                f"the field `{index.field}` has no index",
                "absent",
                show_index(wanted),
                "index.missing",
                f"index/{index.field}",
            )
        elif reason := rebuild_reason(index, have):
            failed = reason == BUILD_FAILED
            yield self._action(
                "rebuild-index",
                reason,
                show_index(have.index),
                show_index(wanted),
                "index.unindexed-rows" if failed else "index.drift",
                f"index/{index.field}",
            )

    def _index_on(self, field: str) -> IndexState | None:
        indexes = self.seen.info.indexes if self.seen else ()
        return next((i for i in indexes if i.index.field == field), None)

    def _load(self) -> Iterator[Action]:
        wanted, info = self.spec.load, self.seen.info if self.seen else None
        is_loaded = info is not None and info.loaded
        if not wanted.loaded:
            if is_loaded:
                yield self._action(
                    "release", "the spec wants it released", "loaded", "released", "load.state"
                )
        elif info is None or not is_loaded:
            yield self._action(
                "load",
                "the collection is not loaded",
                "not loaded",
                f"loaded, replicas={wanted.replicas}",
                "load.state",
            )
        elif info.replicas != wanted.replicas:
            yield self._action(
                "set-replicas",
                "the number of replicas differs",
                f"replicas={info.replicas}",
                f"replicas={wanted.replicas}",
                "load.replicas",
            )
        elif misplaced(self.spec.load, info):
            yield self._action(
                "set-groups",
                "it is loaded in other resource groups",
                ", ".join(info.resource_groups),
                ", ".join(self.spec.load.resource_groups),
                "groups.placement",
            )

    def aliases(self) -> Iterator[Action | Refusal]:
        for alias in self.spec.aliases:
            owner = self.snapshot.aliases.get(alias)
            if owner == self.spec.name:
                continue
            if reason := self._alias_refused(alias, owner):
                yield Refusal("alias.drift", f"{self.subject}/alias/{alias}", reason)
            elif owner is None:
                yield self._action(
                    "create-alias",
                    "the alias is not there",
                    "absent",
                    self.spec.name,
                    "alias.drift",
                    f"alias/{alias}",
                )
            else:
                yield self._action(
                    "move-alias",
                    "the alias leads to another collection",
                    owner,
                    self.spec.name,
                    "alias.drift",
                    f"alias/{alias}",
                )

    def _alias_refused(self, alias: str, owner: str | None) -> str:
        if alias in self.snapshot.collections:
            return f"a collection is named `{alias}`; an alias can't have its name"
        if owner is None:
            return ""
        if not self.spec.load.loaded:
            return (
                f"the alias leads to `{owner}`, and the spec wants `{self.spec.name}` released: "
                "whoever searches through the alias would get no answer"
            )
        owned = self.snapshot.collections.get(owner)
        if owned and owned.written and not (self.seen and self.seen.written):
            return (
                f"the alias leads to `{owner}`, which has rows, and `{self.spec.name}` has none; "
                "ingest first"
            )
        return ""

    def _action(
        self, kind: str, reason: str, before: str, after: str, check: str, part: str = ""
    ) -> Action:
        subject = f"{self.subject}/{part}" if part else self.subject
        return Action(kind, subject, reason, before, after, check)


def rebuild_reason(spec: IndexSpec, have: IndexState) -> str:
    """Why an index has to be built again; empty where it need not."""
    differences = index_differences(spec, have.index)
    if differences:
        return ", ".join(f"{what} is {is_}, not {want}" for what, want, is_ in differences)
    return BUILD_FAILED if have.state.lower() == "failed" else ""


def show_index(index: Index) -> str:
    """An index on one line, as plans and diffs show it."""
    params = " ".join(f"{k}={v}" for k, v in sorted(index.params.items()))
    return " ".join(part for part in (index.type, index.metric, params) if part)
