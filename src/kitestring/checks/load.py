"""Load state and replicas: whether a collection can answer, and with what redundancy."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import COLLECTION_THERE, check, command, pairs
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec


def load_state(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A collection that is not loaded though the spec wants it, or the other way round."""
    for pair in pairs(loaded, snapshot):
        info, wanted = pair.observed.info, pair.spec.load.loaded
        if info.loaded == wanted:
            continue
        if not wanted:
            severity, message = Severity.WARN, "it is loaded and takes memory, against the spec"
            if info.load_state != "Loaded":
                continue
        elif info.load_state == "Loading":
            severity, message = Severity.WARN, "it is still being loaded"
        else:
            severity, message = Severity.FAIL, "it is not loaded: it answers no search"
        yield Finding(
            "load.state",
            severity,
            pair.subject,
            message,
            expected="loaded" if wanted else "released",
            observed=info.load_state,
            hint=command(loaded, "reconcile"),
            location=pair.locate("load"),
        )


def load_replicas(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A loaded collection with another number of replicas than wanted."""
    for pair in pairs(loaded, snapshot):
        info, wanted = pair.observed.info, pair.spec.load
        if not (wanted.loaded and info.loaded) or info.replicas == wanted.replicas:
            continue
        fewer = info.replicas < wanted.replicas
        yield Finding(
            "load.replicas",
            Severity.FAIL if fewer else Severity.WARN,
            pair.subject,
            "it has fewer replicas than the spec wants"
            if fewer
            else "it has more replicas than the spec wants, and takes their memory",
            expected=str(wanted.replicas),
            observed=str(info.replicas),
            hint=command(loaded, "reconcile"),
            location=pair.locate("load", "replicas"),
        )


CHECKS = (
    check(
        "load.state",
        "Collections are loaded, or released, as the spec says",
        load_state,
        meaning="A collection that is not loaded answers no search. One that is being loaded, or "
        "is loaded against the spec, is a warning.",
        cause="It was released by hand, the query nodes restarted, or they have no memory left.",
        mend="`kitestring reconcile` loads it.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "load.replicas",
        "Loaded collections have as many replicas as the spec says",
        load_replicas,
        meaning="With fewer replicas than planned, the loss of a query node is an outage and the "
        "throughput is lower. More than planned is a warning.",
        cause="It was loaded by hand, or there are too few query nodes.",
        mend="`kitestring reconcile` releases it and loads it with the right number.",
        requires=(COLLECTION_THERE,),
    ),
)
