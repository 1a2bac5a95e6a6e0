"""What a restored collection has otherwise than its manifest says, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.collection import CollectionInfo, Field, Index, Schema
from kitestring.model.digest import DYNAMIC_FIELD, DigestBuilder

_IDENTITY = ("field_id",)  # a server numbers the fields itself
_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RowComparison:
    """The rows of a restored collection beside the digest of its manifest."""

    counted: int  # count(*) of the server
    read: RowDigest  # over the rows that the scan gave
    keys_match: bool
    content_match: bool
    reasons: tuple[str, ...]  # in words


def definition_differences(
    wanted: CollectionBackup, found: CollectionInfo, aliases: Sequence[str]
) -> tuple[str, ...]:
    """Schema, partitions, indexes, aliases, load state: each difference in words.

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


def compare_rows(
    target: Milvus,
    name: str,
    wanted: CollectionBackup,
    on_batch: Callable[[pa.RecordBatch], None] | None = None,
    from_files: Callable[[], RowDigest] | None = None,
) -> RowComparison:
    """Reads every row of the restored collection over the API and compares digests.

    The manifest's digest was computed from the segment files: two readers that share no code
    must agree. `on_batch` sees each batch, all columns.

    A query shows one row of each key. Where the count is right and the scan reads fewer rows, keys
    are there more than once, as they may have been in the source: then `from_files` (the digest
    over the restored segment files) decides.
    """
    counted = target.count(name)
    builder = DigestBuilder(wanted.schema.primary.name)
    for batch in target.scan(name, column_names(wanted.schema)):
        builder.add(batch)
        if on_batch is not None:
            on_batch(batch)
    read = builder.result()
    if from_files is None or not read.rows < counted == wanted.digest.rows:
        return row_comparison(wanted.digest, counted, read)
    found = row_comparison(wanted.digest, counted, from_files())
    hidden = (
        f"{counted - read.rows:,} rows have the key of another one, and the query API hides them: "
        "content was compared by the restored segment files"
    )
    return replace(found, reasons=(hidden, *found.reasons))


def row_comparison(wanted: RowDigest, counted: int, read: RowDigest) -> RowComparison:
    """The verdict on counts and digests, and its reasons."""
    reasons = []
    if counted != wanted.rows:
        reasons.append(f"rows: {wanted.rows:,} in the backup, {counted:,} restored")
    if read.rows != counted:
        reasons.append(f"the server counts {counted:,} rows, {read.rows:,} could be read")
    same = read.rows == counted == wanted.rows
    keys = same and read.keys == wanted.keys
    content = keys and read.content == wanted.content
    if same and not keys:
        reasons.append("as many rows as in the backup, and other keys")
    if keys and not content:
        reasons.append("the same keys as in the backup, and other content")
    return RowComparison(counted, read, keys, content, tuple(reasons))


def deleted_present(target: Milvus, name: str, wanted: CollectionBackup) -> int:
    """How many of the manifest's deleted keys are there again."""
    primary = wanted.schema.primary
    keys: list[str | int] = [
        key if primary.type == "VARCHAR" else int(key) for key in wanted.deleted_keys
    ]
    found = 0
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        found += len(target.get(name, keys[start : start + _KEYS_AT_ONCE], [primary.name]))
    return found


def column_names(schema: Schema) -> list[str]:
    """Every column that the digest of a collection is over."""
    names = [field.name for field in schema.fields]
    return [*names, DYNAMIC_FIELD] if schema.dynamic else names


def _schema(wanted: Schema, found: Schema) -> Iterator[str]:
    yield from _value("dynamic fields", _yes(wanted.dynamic), _yes(found.dynamic))
    yield from _value("description", wanted.description, found.description)
    yield from _names("field", [f.name for f in wanted.fields], [f.name for f in found.fields])
    for field in wanted.fields:
        other = found.field(field.name)
        if other is not None:
            yield from _field(field, other)


def _field(wanted: Field, found: Field) -> Iterator[str]:
    for attribute in fields(Field):
        if attribute.name not in _IDENTITY:
            yield from _value(
                f"field `{wanted.name}`, {attribute.name.replace('_', ' ')}",
                getattr(wanted, attribute.name),
                getattr(found, attribute.name),
            )


def _indexes(wanted: Sequence[Index], found: Sequence[Index]) -> Iterator[str]:
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


def _mapping(label: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for key in sorted(set(wanted) | set(found)):
        yield from _value(f"{label} `{key}`", wanted.get(key), found.get(key))


def _names(label: str, wanted: Sequence[str], found: Sequence[str]) -> Iterator[str]:
    for name in sorted(set(wanted) - set(found)):
        yield f"{label} `{name}` is not restored"
    for name in sorted(set(found) - set(wanted)):
        yield f"{label} `{name}` is not in the backup"


def _value(label: str, wanted: object, found: object) -> Iterator[str]:
    if wanted != found:
        yield f"{label}: {_shown(wanted)} in the backup, {_shown(found)} restored"


def _shown(value: object) -> str:
    return "none" if value is None or value == "" else str(value)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
