"""Alias drift: clients ask by alias, and get whatever it points to."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import COLLECTION_THERE, check, command, pairs
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec


def alias_drift(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """An alias that is missing, points elsewhere, or is not in the spec."""
    for pair in pairs(loaded, snapshot):
        for position, alias in enumerate(pair.spec.aliases):
            owner = snapshot.aliases.get(alias)
            if owner == pair.spec.name:
                continue
            yield Finding(
                "alias.drift",
                Severity.FAIL,
                f"{pair.subject}/alias/{alias}",
                f"the alias `{alias}` is missing"
                if owner is None
                else f"the alias `{alias}` points to another collection",
                expected=pair.spec.name,
                observed=owner or "none",
                hint=command(loaded, "reconcile"),
                location=pair.locate("aliases", position),
            )
    known = {alias for c in loaded.spec.collections for alias in c.aliases}
    for pair in pairs(loaded, snapshot):
        for alias, owner in sorted(snapshot.aliases.items()):
            if owner == pair.spec.name and alias not in known:
                yield Finding(
                    "alias.drift",
                    Severity.WARN,
                    f"{pair.subject}/alias/{alias}",
                    f"the alias `{alias}` is not in the spec",
                    expected="none",
                    observed=owner,
                    hint="add it to `aliases` of the collection, or drop it",
                    location=pair.locate("aliases"),
                )


CHECKS = (
    check(
        "alias.drift",
        "Aliases point to the collections that the spec says",
        alias_drift,
        meaning="Clients that ask by this alias get an error or the answers of another "
        "collection. An alias that the spec does not mention is a warning.",
        cause="A blue/green change was left half-way, a restore did not move it back, or "
        "somebody moved it.",
        mend="`kitestring reconcile` moves it.",
        requires=(COLLECTION_THERE,),
    ),
)
