"""What every check is made of. Checks are pure: a spec and a snapshot in, findings out."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kitestring.model.evidence import Evidence
from kitestring.model.finding import CheckRun, Finding, Location, Severity
from kitestring.model.report import CheckInfo
from kitestring.model.snapshot import ObservedCollection, Snapshot
from kitestring.model.words import plural
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec

Run = Callable[[LoadedSpec, Snapshot], Iterator[Finding]]
Unasked = Callable[[LoadedSpec], str]
Review = Callable[[LoadedSpec, Snapshot, Mapping[str, CheckRun]], Iterator[Finding]]

COLLECTION_THERE = "schema.missing-collection"
ROWS_READ = "rows.scan"
LEDGER_THERE = "ledger.absent"
BACKUPS_THERE = "backup.none"

_EXAMPLES = 5  # keys named in a finding


def always_asked(_: LoadedSpec) -> str:
    """For a check that every spec has something for."""
    return ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check and its documentation.

    `requires` names the checks that run along whenever this one does: where one of them fails,
    this one had nothing to look at, and its verdict is inconclusive instead of a pass.
    `unasked` tells why a spec has nothing for it to look at (empty: it has), such as a key that
    is not there: then the check is left out.
    A check with a `review` comes after all others, and sees how they ended.
    """

    info: CheckInfo
    run: Run
    requires: tuple[str, ...] = ()
    unasked: Unasked = always_asked
    review: Review | None = None

    @property
    def id(self) -> str:
        return self.info.id


@dataclass(frozen=True, slots=True)
class Pair:
    """A collection of the spec beside what was observed of it."""

    loaded: LoadedSpec
    position: int  # in the spec's list
    spec: CollectionSpec
    observed: ObservedCollection

    @property
    def subject(self) -> str:
        return f"{self.loaded.spec.cluster.name}/{self.spec.name}"

    def locate(self, *path: str | int) -> Location:
        """Where a key of this collection stands in the spec file."""
        return self.loaded.locate("collections", self.position, *path)


def pairs(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Pair]:
    """The spec's collections that the server has; `schema.missing-collection` names the others."""
    for position, collection in enumerate(loaded.spec.collections):
        observed = snapshot.collections.get(collection.name)
        if observed is not None:
            yield Pair(loaded, position, collection, observed)


def _nothing(_: LoadedSpec, __: Snapshot) -> Iterator[Finding]:
    return iter(())


def asked_by_collection(key: str) -> Unasked:
    """For a check that looks only at collections of the spec that have a key."""

    def unasked(loaded: LoadedSpec) -> str:
        asks = any(getattr(one, key) is not None for one in loaded.spec.collections)
        return "" if asks else f"has no collection with `{key}`"

    return unasked


def check(
    name: str,
    title: str,
    run: Run = _nothing,
    *,
    meaning: str,
    cause: str,
    mend: str,
    severity: Severity = Severity.FAIL,
    evidence: Evidence | None = None,
    requires: tuple[str, ...] = (),
    unasked: Unasked = always_asked,
    review: Review | None = None,
) -> Check:
    """A `Check`; one that needs rows also requires that they could be read."""
    info = CheckInfo(name, title, severity, meaning, cause, mend, evidence)
    rows = (COLLECTION_THERE, ROWS_READ) if evidence is Evidence.ROWS else ()
    before = dict.fromkeys((*requires, *rows))
    needed = tuple(one for one in before if one != name)
    return Check(info, run, needed, unasked, review)


def command(loaded: LoadedSpec, *words: str) -> str:
    """A `kitestring` command line for this spec, in backticks."""
    verb, *rest = words
    line = shlex.join(["kitestring", *verb.split(), "--spec", str(loaded.file), *rest])
    return f"`{line}`"


def rows_text(count: int) -> str:
    """`1 row`, `12,345 rows`."""
    return plural(count, "row")


def examples_text(keys: tuple[str, ...]) -> str:
    """A few keys, or nothing: ` (a, b, …)`."""
    if not keys:
        return ""
    shown = ", ".join(keys[:_EXAMPLES])
    return f", for example {shown}"
