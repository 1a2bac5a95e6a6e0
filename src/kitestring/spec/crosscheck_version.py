"""What collections ask for that the deployment's version of Milvus has not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.model.versions import (
    INDEXES_SINCE,
    METRICS_SINCE,
    NULLABLE_SINCE,
    TYPES_SINCE,
    MilvusVersion,
)
from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, text
from kitestring.spec.problems import Problem


def check_version(data: Mapping[str, Any], version: MilvusVersion | None) -> Iterator[Problem]:
    """Types, index types and metrics that came after `version`; none where it is not known."""
    if version is None:
        return
    for i, collection in enumerate(map(mapping, items(data.get("collections")))):
        for j, column in enumerate(map(mapping, items(collection.get("columns")))):
            here: KeyPath = ("collections", i, "columns", j)
            kind = text(column.get("type"))
            yield from _came((*here, "type"), kind, TYPES_SINCE, version)
            if column.get("nullable") is True and version < NULLABLE_SINCE:
                yield Problem(
                    (*here, "nullable"),
                    f"Milvus {version} can't leave a value out, {NULLABLE_SINCE} is the first "
                    "that can",
                )
        for j, index in enumerate(map(mapping, items(collection.get("indexes")))):
            here = ("collections", i, "indexes", j)
            yield from _came((*here, "type"), text(index.get("type")), INDEXES_SINCE, version)
            yield from _came((*here, "metric"), text(index.get("metric")), METRICS_SINCE, version)


def _came(
    path: KeyPath, name: str, since: Mapping[str, MilvusVersion], version: MilvusVersion
) -> Iterator[Problem]:
    first = since.get(name)
    if first is not None and version < first:
        yield Problem(path, f"Milvus {version} has no {name}, {first} is the first that has")
