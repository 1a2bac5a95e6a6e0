"""Schema drift: a collection that is not there, or is not what the spec says."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import COLLECTION_THERE, Pair, check, command, pairs
from kitestring.model.collection import Field
from kitestring.model.finding import Finding, Location, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.schema import collection_schema

_FLAGS = ("primary", "auto_id", "partition_key", "nullable")
_SIZES = ("max_length", "dim", "max_capacity", "element_type")
_DYNAMIC_FIELD = "$meta"  # some servers list it among the fields


def missing_collection(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A collection of the spec that the server does not have."""
    for position, collection in enumerate(loaded.spec.collections):
        if collection.name in snapshot.collections:
            continue
        yield Finding(
            COLLECTION_THERE,
            Severity.FAIL,
            f"{loaded.spec.cluster.name}/{collection.name}",
            f"the server has no collection `{collection.name}`",
            expected="present",
            observed="absent",
            hint=command(loaded, "reconcile") + " creates it empty; `kitestring restore` brings "
            "back its rows from a backup",
            location=loaded.locate("collections", position),
        )


def unmanaged_collection(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """A collection of the server that the spec does not mention."""
    known = {c.name for c in loaded.spec.collections}
    # a re-embedding's other collection: its shadow, or the old one that is kept
    known |= {name for family in loaded.registry.families for name in family.members}
    for name in sorted(set(snapshot.collections) - known):
        yield Finding(
            "schema.unmanaged",
            Severity.INFO,
            f"{loaded.spec.cluster.name}/{name}",
            f"the spec does not mention the collection `{name}`: nothing of it is checked",
            expected="in the spec",
            observed="on the server only",
            hint="`kitestring spec adopt` writes a spec that has it; drop it if nobody needs it",
            location=loaded.locate("collections"),
        )


def schema_drift(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Differences of fields, dynamic flag, shards, partitions and properties."""
    for pair in pairs(loaded, snapshot):
        yield from _fields(pair)
        yield from _settings(pair)
        yield from _partitions(pair)


def _fields(pair: Pair) -> Iterator[Finding]:
    wanted = {f.name: f for f in collection_schema(pair.loaded.spec, pair.spec).fields}
    there = {f.name: f for f in pair.observed.info.schema.fields if f.name != _DYNAMIC_FIELD}
    for name, field in wanted.items():
        if name not in there:
            yield _difference(
                pair,
                f"field/{name}",
                f"the field `{name}` is missing",
                field.type,
                "absent",
                _field_location(pair, name),
                added=field.addable,
            )
            continue
        for attribute, expected, observed in field_differences(field, there[name]):
            yield _difference(
                pair,
                f"field/{name}/{attribute}",
                f"`{attribute}` of the field `{name}` differs",
                expected,
                observed,
                _field_location(pair, name),
            )
    for name in there:
        if name not in wanted:
            yield _difference(
                pair,
                f"field/{name}",
                f"the field `{name}` is not in the spec",
                "absent",
                there[name].type,
                _field_location(pair, name),
            )


def field_differences(wanted: Field, there: Field) -> list[tuple[str, str, str]]:
    """(attribute, expected, observed) of two fields; sizes that `wanted` leaves out may be any."""
    found = []
    if wanted.type != there.type:
        found.append(("type", wanted.type, there.type))
    for name in _FLAGS:
        expected, observed = getattr(wanted, name), getattr(there, name)
        if expected != observed:
            found.append((name, str(expected).lower(), str(observed).lower()))
    for name in _SIZES:
        expected, observed = getattr(wanted, name), getattr(there, name)
        if expected is not None and str(expected).upper() != str(observed).upper():
            found.append((name, str(expected), "not set" if observed is None else str(observed)))
    return found


def _settings(pair: Pair) -> Iterator[Finding]:
    info = pair.observed.info
    for key, expected, observed in (
        ("dynamic", pair.spec.dynamic, info.schema.dynamic),
        ("shards", pair.spec.shards, info.shards),
    ):
        if expected != observed:
            yield _difference(
                pair,
                key,
                f"`{key}` differs",
                str(expected).lower(),
                str(observed).lower(),
                pair.locate(key),
            )
    for key, text in pair.spec.properties.items():
        value = info.properties.get(key)
        if value != text:
            yield _difference(
                pair,
                f"property/{key}",
                f"the property `{key}` differs",
                text,
                "not set" if value is None else value,
                pair.locate("properties", key),
            )


def _partitions(pair: Pair) -> Iterator[Finding]:
    if any(f.partition_key for f in pair.observed.info.schema.fields):
        return  # the server makes and names its own
    wanted = {"_default", *pair.spec.partitions}
    there = {p.name for p in pair.observed.info.partitions}
    for name in sorted(wanted - there):
        yield _difference(
            pair,
            f"partition/{name}",
            f"the partition `{name}` is missing",
            "present",
            "absent",
            pair.locate("partitions"),
        )
    for name in sorted(there - wanted):
        yield _difference(
            pair,
            f"partition/{name}",
            f"the partition `{name}` is not in the spec",
            "absent",
            "present",
            pair.locate("partitions"),
        )


def _difference(
    pair: Pair,
    part: str,
    message: str,
    expected: str,
    observed: str,
    location: Location,
    *,
    added: bool = False,
) -> Finding:
    kind = part.split("/")[0]
    if kind == "partition" or kind == "property":
        hint = command(pair.loaded, "reconcile") + " shows what can be changed in place"
    elif added:
        hint = command(pair.loaded, "reconcile") + " adds it, on Milvus 2.6 and later"
    else:
        hint = (
            "Milvus cannot change it in place: make a collection with the right schema under "
            "another name, ingest into it and move the alias; or correct the spec"
        )
    return Finding(
        "schema.drift",
        Severity.FAIL,
        f"{pair.subject}/{part}",
        message,
        expected,
        observed,
        hint,
        location,
    )


def _field_location(pair: Pair, name: str) -> Location:
    for position, column in enumerate(pair.spec.columns or ()):
        if column.name == name:
            return pair.locate("columns", position)
    return pair.locate("columns" if pair.spec.columns is not None else "fields")


CHECKS = (
    check(
        COLLECTION_THERE,
        "Every collection of the spec is on the server",
        missing_collection,
        meaning="The spec names a collection that the server does not have. Nothing else can be "
        "said about it.",
        cause="It was dropped or renamed, the cluster was rebuilt, or the spec is ahead of it.",
        mend="`kitestring reconcile` creates it empty; `kitestring restore` brings its rows back.",
    ),
    check(
        "schema.drift",
        "Fields, dynamic flag, shards, partitions and properties are the spec's",
        schema_drift,
        meaning="A field is missing, was added, or has another type, key role, length or "
        "dimension; or the dynamic flag, the number of shards, the partitions or a property that "
        "the spec names differ. Properties that the spec does not name may be anything, "
        "and descriptions are not compared.",
        cause="The collection was made by hand or by other code, or the spec was changed after "
        "the collection was made.",
        mend="`kitestring reconcile` adds partitions, properties and, from Milvus 2.6 on, fields "
        "that may be null. The rest of a schema cannot be changed in place: build a collection "
        "beside it, ingest, move the alias. Or correct the spec, if the server is right.",
        requires=(COLLECTION_THERE,),
    ),
    check(
        "schema.unmanaged",
        "Every collection of the server is in the spec",
        unmanaged_collection,
        severity=Severity.INFO,
        meaning="The server has a collection that the spec does not mention: no check looks at "
        "it, and no backup of this spec holds it.",
        cause="Somebody made it, or it is left over from a restore or a migration.",
        mend="Adopt it with `kitestring spec adopt`, or drop it.",
    ),
)
