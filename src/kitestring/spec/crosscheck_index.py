"""The indexes of one collection and its columns, which must fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, text
from kitestring.spec.problems import Problem, nearest

_BINARY = "BINARY_VECTOR"
_SPARSE = "SPARSE_FLOAT_VECTOR"
_SCALAR_INDEXES = ("INVERTED", "NGRAM", "BITMAP", "STL_SORT", "Trie")
_METRICS = {_BINARY: ("HAMMING", "JACCARD"), _SPARSE: ("IP", "BM25")}
_DENSE_METRICS = ("COSINE", "L2", "IP")


@dataclass(frozen=True, slots=True)
class WantedColumn:
    """A field that the collection will have. `path` is where a problem with it is shown."""

    name: str
    type: str
    path: KeyPath

    @property
    def is_vector(self) -> bool:
        return self.type.endswith("_VECTOR")


def check_indexes(
    path: KeyPath, raw: Mapping[str, Any], columns: Mapping[str, WantedColumn]
) -> Iterator[Problem]:
    """The problems of a collection's `indexes`; `path` is the collection's key path."""
    indexed: set[str] = set()
    names: set[str] = set()
    for i, index in enumerate(map(mapping, items(raw.get("indexes")))):
        here = (*path, "indexes", i)
        field = text(index.get("field"))
        name = text(index.get("name")) or field
        if field and field in indexed:
            yield Problem((*here, "field"), f"`{field}` has an index already: Milvus takes one")
        elif name and name in names:
            yield Problem((*here, "name"), f"the index name `{name}` is there more than once")
        indexed.add(field)
        names.add(name)
        if field and field not in columns and columns:
            yield Problem(
                (*here, "field"),
                "the collection has no such field",
                field,
                ", ".join(columns),
                nearest(field, columns),
            )
        elif field in columns:
            yield from _index(here, index, columns[field])
    loaded = mapping(raw.get("load")).get("loaded", True)
    for column in columns.values():
        if column.is_vector and column.name not in indexed and loaded is True:
            yield Problem(
                column.path,
                f"the vector field `{column.name}` needs an index in `indexes`: Milvus can't load "
                "the collection without",
            )


def _index(here: KeyPath, index: Mapping[str, Any], column: WantedColumn) -> Iterator[Problem]:
    kind = text(index.get("type"))
    metric = index.get("metric")
    if not column.type:
        return
    if kind and not _fits(kind, column):
        yield Problem(
            (*here, "type"),
            f"the field `{column.name}` of type {column.type} can't have this index",
            kind,
        )
        return
    if not column.is_vector:
        if metric is not None:
            yield Problem((*here, "metric"), f"`{column.name}` is no vector: remove it", metric)
        return
    takes = _METRICS.get(column.type, _DENSE_METRICS)
    if metric is None:
        yield Problem(
            (*here, "metric"), "missing: an index on a vector needs it", allowed=", ".join(takes)
        )
    elif isinstance(metric, str) and metric not in takes:
        yield Problem(
            (*here, "metric"),
            f"not a metric of {column.type}",
            metric,
            ", ".join(takes),
            nearest(metric, takes),
        )


def _fits(kind: str, column: WantedColumn) -> bool:
    if kind == "AUTOINDEX":
        return True
    if kind in _SCALAR_INDEXES:
        return not column.is_vector
    if kind.startswith("SPARSE_"):
        return column.type == _SPARSE
    if kind.startswith("BIN_"):
        return column.type == _BINARY
    return column.is_vector and column.type not in (_BINARY, _SPARSE)
