"""What a restored collection has otherwise than its manifest says, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from kitestring.model.backup import CollectionBackup
from kitestring.model.collection import CollectionInfo, Field, Index, Schema

_IDENTITY = ("field_id",)  # a server numbers the fields itself


@dataclass(frozen=True, slots=True)
class Difference:
    """`extra`: the target has it, and the backup does not know of it."""

    text: str
    extra: bool = False

    def __str__(self) -> str:
        return self.text


def definition_differences(
    wanted: CollectionBackup, found: CollectionInfo, aliases: Sequence[str]
) -> tuple[Difference, ...]:
    """Schema, partitions, indexes, aliases, load state: each difference.

    Args:
        wanted: what the manifest says.
        found: the restored collection as the server describes it.
        aliases: those of the wanted aliases that the server gives to this collection, asked
            one by one (a description's own list may be stale).
    """
    return (
        *_schema(wanted.schema, found.schema),
        *_value("shards", wanted.shards, found.shards),
        *_value("consistency", wanted.consistency, found.consistency),
        *_mapping("property", wanted.properties, found.properties),
        *_names(
            "partition", [p.name for p in wanted.partitions], [p.name for p in found.partitions]
        ),
        *_indexes(wanted.indexes, [state.index for state in found.indexes]),
        *_names("alias", wanted.aliases, aliases),
        *_value("loaded", _yes(wanted.loaded), _yes(found.loaded)),
    )


def _schema(wanted: Schema, found: Schema) -> Iterator[Difference]:
    yield from _value("dynamic fields", _yes(wanted.dynamic), _yes(found.dynamic))
    yield from _value("description", wanted.description, found.description)
    yield from _names("field", [f.name for f in wanted.fields], [f.name for f in found.fields])
    for field in wanted.fields:
        other = found.field(field.name)
        if other is not None:
            yield from _field(field, other)


def _field(wanted: Field, found: Field) -> Iterator[Difference]:
    for attribute in fields(Field):
        if attribute.name not in _IDENTITY:
            yield from _value(
                f"field `{wanted.name}`, {attribute.name.replace('_', ' ')}",
                getattr(wanted, attribute.name),
                getattr(found, attribute.name),
            )


def _indexes(wanted: Sequence[Index], found: Sequence[Index]) -> Iterator[Difference]:
    have = {index.name: index for index in found}
    yield from _names("index", [index.name for index in wanted], list(have))
    for index in wanted:
        other = have.get(index.name)
        if other is None:
            continue
        label = f"index `{index.name}`"
        yield from _value(f"{label}, field", index.field, other.field)
        yield from _value(f"{label}, type", index.type, other.type)
        yield from _value(f"{label}, metric", index.metric, other.metric)
        yield from _mapping(f"{label}, parameter", index.params, other.params)


def _mapping(
    label: str, wanted: Mapping[str, str], found: Mapping[str, str]
) -> Iterator[Difference]:
    for key in sorted(set(wanted) | set(found)):
        yield from _value(f"{label} `{key}`", wanted.get(key), found.get(key), key not in wanted)


def _names(label: str, wanted: Sequence[str], found: Sequence[str]) -> Iterator[Difference]:
    for name in sorted(set(wanted) - set(found)):
        yield Difference(f"{label} `{name}` is not restored")
    for name in sorted(set(found) - set(wanted)):
        yield Difference(f"{label} `{name}` is not in the backup", extra=True)


def _value(label: str, wanted: object, found: object, extra: bool = False) -> Iterator[Difference]:
    if wanted != found:
        yield Difference(
            f"{label}: {_shown(wanted)} in the backup, {_shown(found)} restored", extra
        )


def _shown(value: object) -> str:
    return "none" if value is None or value == "" else str(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
