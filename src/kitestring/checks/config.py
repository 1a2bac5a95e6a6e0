"""Configuration drift: settings of collections and of the database that the spec does not have."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import COLLECTION_THERE, asked_by_collection, check, pairs
from kitestring.model.database import DatabaseSeen
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

TTL = "collection.ttl.seconds"
_UNSET = ("", "0", "-1", "false")  # what a server says of properties that nobody has set


def expiry(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows that expire, though the spec does not say so."""
    for pair in pairs(loaded, snapshot):
        ttl = pair.observed.info.properties.get(TTL, "")
        if TTL not in pair.spec.properties and ttl not in _UNSET:
            yield Finding(
                "config.expiry",
                Severity.FAIL,
                f"{pair.subject}/property/{TTL}",
                "the server removes rows when they are older than the spec knows of",
                expected="no expiry",
                observed=f"{ttl} s",
                hint=f"take `{TTL}` away from the collection (to `0` before Milvus 2.5), or add "
                "it to `properties`",
                location=pair.locate("properties"),
            )


def unmanaged(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Other properties that somebody has set."""
    for pair in pairs(loaded, snapshot):
        more = {
            key: value
            for key, value in sorted(pair.observed.info.properties.items())
            if key not in pair.spec.properties and key != TTL and value.lower() not in _UNSET
        }
        if more:
            yield Finding(
                "config.unmanaged",
                Severity.INFO,
                f"{pair.subject}/properties",
                "the collection has properties that the spec does not mention",
                expected="none",
                observed=", ".join(f"{k}={v}" for k, v in more.items()),
                hint="add them to `properties`, so that they are held to",
                location=pair.locate("properties"),
            )


def consistency(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Another default level of consistency than the spec's."""
    for pair in pairs(loaded, snapshot):
        wanted, there = pair.spec.consistency, pair.observed.info.consistency
        if wanted is not None and there != wanted:
            yield Finding(
                "config.consistency",
                Severity.FAIL if there else Severity.WARN,
                f"{pair.subject}/consistency",
                "searches that name no level of consistency get another than the spec's"
                if there
                else "the server does not say which level of consistency the collection has",
                expected=wanted,
                observed=there or "not known",
                hint="name the level in each search, or make the collection again: it is fixed "
                "when a collection is made",
                location=pair.locate("consistency"),
                inconclusive=not there,
            )


def database(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Settings of the database that are not the spec's."""
    wanted = loaded.spec.database
    if wanted is None:
        return
    seen = snapshot.database or DatabaseSeen(loaded.spec.connection.database, None, "not read")
    subject = f"{loaded.spec.cluster.name}/database/{seen.name}"
    if seen.properties is None:
        yield Finding(
            "config.database",
            Severity.WARN,
            subject,
            f"the properties of the database could not be read: {seen.reason}",
            expected="all of them read",
            observed="none",
            hint="servers from 2.4 on tell them",
            location=loaded.locate("database"),
            inconclusive=True,
        )
        return
    for key, value in sorted(wanted.properties.items()):
        there = seen.properties.get(key)
        if there != value:
            yield Finding(
                "config.database",
                Severity.FAIL,
                f"{subject}/property/{key}",
                f"the property `{key}` of the database differs",
                expected=value,
                observed="not set" if there is None else there,
                hint="`pulumi up --refresh` where Pulumi manages the database; otherwise set it",
                location=loaded.locate("database", "properties", key),
            )


def _no_database(loaded: LoadedSpec) -> str:
    return "" if loaded.spec.database is not None else "has no `database`: its settings are free"


CHECKS = (
    check(
        "config.expiry",
        "No rows expire that the spec lets live",
        expiry,
        meaning="The collection has a time to live, and the spec names none: the server hides, "
        "then removes rows that are older. A time to live that the spec names is compared by "
        "`schema.drift`.",
        cause="Somebody set `collection.ttl.seconds` by hand.",
        mend="Take it away before more rows go; restore what is missing from a backup.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "config.unmanaged",
        "Properties of collections are in the spec",
        unmanaged,
        severity=Severity.INFO,
        meaning="A collection has properties, such as `mmap.enabled` or a rate limit, that the "
        "spec does not mention, so that nothing holds them to what they are.",
        cause="They were set by hand.",
        mend="Add them to `properties` of the collection.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "config.consistency",
        "Collections have the spec's level of consistency",
        consistency,
        meaning="A search that names no level gets that of the collection, which is another than "
        "the spec's: it may miss what was just written, or be slower than planned.",
        cause="The collection was made by something else than this spec.",
        mend="Name the level in each search, or make the collection again.",
        requires=(COLLECTION_THERE,),
        unasked=asked_by_collection("consistency"),
    ),
    check(
        "config.database",
        "The database has the spec's properties",
        database,
        meaning="A property of the connection's database, such as the number of collections or "
        "replicas that it may have, is not the spec's. Servers before 2.4 can't tell: "
        "inconclusive. Left out of specs without `database`.",
        cause="It was changed by hand.",
        mend="Set it again, or correct the spec.",
        evidence=Evidence.CONFIG,
        unasked=_no_database,
    ),
)
