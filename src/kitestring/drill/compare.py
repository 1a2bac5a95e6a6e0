"""The rows of a restored collection beside its manifest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import pyarrow as pa

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import RowsHidden
from kitestring.model.backup import CollectionBackup, RowDigest
from kitestring.model.collection import Schema
from kitestring.model.digest import DYNAMIC_FIELD, DigestBuilder

_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RowComparison:
    """The rows of a restored collection beside the digest of its manifest."""

    counted: int  # count(*) of the server
    read: RowDigest  # over the rows that the scan gave
    keys_match: bool
    content_match: bool
    reasons: tuple[str, ...]  # in words


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

    A query shows one row of each key, and 2.3 none of the largest. Where the count is right and
    the scan reads fewer rows, that may have been so in the source: then `from_files` (the digest
    over the restored segment files) decides.
    """
    counted = target.count(name)
    builder = DigestBuilder(wanted.schema.primary.name)
    with suppress(RowsHidden):  # the counts tell
        for batch in target.scan(name, column_names(wanted.schema)):
            builder.add(batch)
            if on_batch is not None:
                on_batch(batch)
    read = builder.result()
    if from_files is None or not read.rows < counted == wanted.digest.rows:
        return row_comparison(wanted.digest, counted, read)
    found = row_comparison(wanted.digest, counted, from_files())
    hidden = (
        f"{counted - read.rows:,} rows have the key of another one, or the largest key of all, "
        "and the query API hides them: content was compared by the restored segment files"
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
    if keys and not wanted.content:
        reasons.append("the backup has a digest of the keys only: content was not compared")
    content = keys and wanted.content in (read.content, "")
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
