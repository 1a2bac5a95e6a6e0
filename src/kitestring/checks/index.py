"""Index drift: an index that is missing, is not the spec's, or is not in the spec."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from kitestring.checks.base import COLLECTION_THERE, Pair, check, command, pairs
from kitestring.model.collection import Index, IndexState
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import IndexSpec
from kitestring.spec.schema import wanted_index


def missing_index(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A field that the spec wants indexed and that has no index."""
    for pair in pairs(loaded, snapshot):
        for position, wanted in enumerate(pair.spec.indexes):
            if index_on(pair, wanted) is None:
                yield Finding(
                    "index.missing",
                    Severity.FAIL,
                    index_subject(pair, wanted),
                    f"the field `{wanted.field}` has no index",
                    expected=_definition(wanted_index(wanted)),
                    observed="none",
                    hint=command(loaded, "reconcile"),
                    location=pair.locate("indexes", position),
                )


def index_drift(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """An index of another name, type, metric or parameters than the spec's."""
    for pair in pairs(loaded, snapshot):
        for position, wanted in enumerate(pair.spec.indexes):
            state = index_on(pair, wanted)
            if state is None:
                continue
            differences = index_differences(wanted, state.index)
            if differences:
                names = ", ".join(f"`{name}`" for name, _, _ in differences)
                yield Finding(
                    "index.drift",
                    Severity.FAIL,
                    index_subject(pair, wanted),
                    f"the index of the field `{wanted.field}` differs in {names}",
                    expected=", ".join(f"{name}={value}" for name, value, _ in differences),
                    observed=", ".join(f"{name}={value}" for name, _, value in differences),
                    hint=command(loaded, "reconcile") + " rebuilds it",
                    location=pair.locate("indexes", position),
                )


def index_differences(wanted: IndexSpec, there: Index) -> list[tuple[str, str, str]]:
    """(what, expected, observed). Only what the spec names is compared: the server adds more."""
    index, found = wanted_index(wanted), []
    if wanted.name is not None and wanted.name != there.name:
        found.append(("name", wanted.name, there.name))
    if index.type.upper() != there.type.upper():
        found.append(("type", index.type, there.type))
    if index.metric and index.metric.upper() != there.metric.upper():
        found.append(("metric", index.metric, there.metric or "none"))
    params = _flat(there.params)
    for key, value in index.params.items():
        if not _same(value, params.get(key)):
            found.append((key, value, params.get(key, "not set")))
    return found


def unmanaged_index(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """An index that the spec does not mention."""
    for pair in pairs(loaded, snapshot):
        fields = {wanted.field for wanted in pair.spec.indexes}
        for state in pair.observed.info.indexes:
            if state.index.field not in fields:
                yield Finding(
                    "index.unmanaged",
                    Severity.INFO,
                    f"{pair.subject}/index/{state.index.field}",
                    f"the spec does not mention the index of the field `{state.index.field}`",
                    expected="none",
                    observed=_definition(state.index),
                    hint="add it to `indexes` of the collection, or drop it",
                    location=pair.locate("indexes"),
                )


def index_on(pair: Pair, wanted: IndexSpec) -> IndexState | None:
    """The index of that name, or else the one on the field."""
    states = pair.observed.info.indexes
    named = (s for s in states if s.index.name == wanted.name and s.index.field == wanted.field)
    return next(named, next((s for s in states if s.index.field == wanted.field), None))


def index_subject(pair: Pair, wanted: IndexSpec) -> str:
    return f"{pair.subject}/index/{wanted.field}"


def _definition(index: Index) -> str:
    parts = [index.type, index.metric, *(f"{k}={v}" for k, v in sorted(index.params.items()))]
    return " ".join(part for part in parts if part)


def _flat(params: Mapping[str, str]) -> dict[str, str]:
    """Some servers nest the parameters as JSON text under the key `params`."""
    flat = {k: v for k, v in params.items() if k != "params"}
    try:
        nested = json.loads(params.get("params", "{}"))
    except ValueError:
        nested = {}
    if isinstance(nested, dict):
        flat |= {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in nested.items()}
    return flat


def _same(wanted: str, there: str | None) -> bool:
    if there is None or wanted.lower() == there.lower():
        return there is not None
    try:
        return float(wanted) == float(there)
    except ValueError:
        return False


CHECKS = (
    check(
        "index.missing",
        "Every index of the spec is there",
        missing_index,
        meaning="A field that the spec wants indexed has no index: searches are exact and slow, "
        "or the collection cannot be loaded at all.",
        cause="The index was dropped, or a restore or migration did not rebuild it.",
        mend="`kitestring reconcile` builds it.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "index.drift",
        "Name, type, metric and parameters of each index are the spec's",
        index_drift,
        meaning="The index is another one than the spec asks for. Recall, latency and memory are "
        "not what was planned, and with another metric the order of the answers is not either. "
        "Only parameters that the spec names are compared.",
        cause="It was rebuilt by hand with other parameters, or the spec was changed.",
        mend="`kitestring reconcile` rebuilds it; searches are slower while it does.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "index.unmanaged",
        "Every index of the server is in the spec",
        unmanaged_index,
        severity=Severity.INFO,
        meaning="A field has an index that the spec does not mention.",
        cause="Somebody made it by hand.",
        mend="Add it to the spec, or drop it.",
        requires=(COLLECTION_THERE,),
    ),
)
