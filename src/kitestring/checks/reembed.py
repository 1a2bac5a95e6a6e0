"""What a re-embedding left to be done in the spec."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import check
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec


def outdated_spec(loaded: LoadedSpec, _: Snapshot) -> Iterator[Finding]:
    """Lines of the spec that name the collection or model from before a cutover (or rollback)."""
    for change in loaded.followed:
        position = change.path[1]
        collection = loaded.spec.collections[int(position)]
        key = change.path[-1]
        yield Finding(
            "reembed.spec",
            Severity.FAIL,
            f"{loaded.spec.cluster.name}/{collection.name}/spec/{key}",
            f"the spec says `{key}: {change.said}`; since the last cutover or rollback of a "
            f"re-embedding, `{key}: {change.now}` is live",
            expected=change.now,
            observed=change.said,
            hint=f"write `{key}: {change.now}` in this line",
            location=loaded.locate(*change.path),
        )


def _unasked(loaded: LoadedSpec) -> str:
    return "" if loaded.registry.families else "has no collection with a re-embedding under way"


CHECKS = (
    check(
        "reembed.spec",
        "The spec names the collection and model that a re-embedding made live",
        outdated_spec,
        meaning="Clients are on another collection than the spec names, and its vectors are of "
        "another model. Every verb goes by the registry of the state directory meanwhile; hosts "
        "that do not have it go by the spec, and are wrong.",
        cause="`kitestring reembed cutover` or `rollback` moved the aliases, and the spec was not "
        "edited.",
        mend="Edit the lines that the findings name, and commit them.",
        unasked=_unasked,
    ),
)
