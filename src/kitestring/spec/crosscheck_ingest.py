"""The keys of chunking and metadata that must fit each other and the collection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, number, text
from kitestring.spec.problems import Problem

PARENT_FIELDS = ("parent_id", "parent_start", "parent_end", "parent_text")
"""What a passage of `parent-child` carries of its parent, in dynamic fields or columns."""
_FILLABLE = frozenset(
    ("BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR", "JSON", "ARRAY")
)


def check_chunking(path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems within `chunking` of one collection."""
    chunking = mapping(raw.get("chunking"))
    here = (*path, "chunking")
    strategy = text(chunking.get("strategy"))
    size, overlap = number(chunking.get("size")), number(chunking.get("overlap"))
    if size is not None and overlap is not None and overlap >= size:
        yield Problem(
            (*here, "overlap"), "must be smaller than `size`", overlap, f"0 to {size - 1}"
        )
    for key, goes_with in (
        ("percentile", "semantic"),
        ("window", "semantic"),
        ("parent_size", "parent-child"),
    ):
        if chunking.get(key) is not None and strategy and strategy != goes_with:
            yield Problem((*here, key), f"goes with `strategy: {goes_with}`: remove it")
    parent = number(chunking.get("parent_size"))
    if strategy == "parent-child" and chunking.get("parent_size") is None:
        yield Problem(
            (*here, "parent_size"), "missing: `parent-child` needs it, such as `parent_size: 2000`"
        )
    elif strategy == "parent-child" and parent is not None and size is not None and parent <= size:
        yield Problem((*here, "parent_size"), "must be greater than `size`", parent)
    if strategy == "parent-child":
        yield from _have_room(path, raw, dict.fromkeys(PARENT_FIELDS, (*here, "strategy")))
    if raw.get("corpus") is not None and not (chunking and raw.get("model")):
        yield Problem(
            (*path, "corpus"), "documents become rows by `chunking` and `model`: name both"
        )
    if chunking and raw.get("model") is None and raw.get("columns") is not None:
        yield Problem(
            here, "passages are made to be embedded: name the `model`, or remove `chunking`"
        )


def check_metadata(
    path: KeyPath, raw: Mapping[str, Any], roles: Mapping[str, str]
) -> Iterator[Problem]:
    """The problems within `metadata` of one collection; `roles`: role -> field."""
    places: dict[str, KeyPath] = {}
    for name, place in _named((*path, "metadata"), mapping(raw.get("metadata"))):
        if name in places:
            yield Problem(place, f"the field `{name}` gets a value twice: remove one of them")
        elif name in roles.values():
            yield Problem(place, f"`{name}` is a field of the row contract: choose another name")
        elif mapping(raw.get("chunking")).get("strategy") == "parent-child" and (
            name in PARENT_FIELDS
        ):
            yield Problem(place, f"`{name}` is a field of `parent-child`: choose another name")
        places.setdefault(name, place)
    yield from _have_room(path, raw, places)


def _named(path: KeyPath, metadata: Mapping[str, Any]) -> Iterator[tuple[str, KeyPath]]:
    for name in mapping(metadata.get("constants")):
        yield str(name), (*path, "constants", str(name))
    try:
        groups = re.compile(text(metadata.get("path"))).groupindex
    except re.error:
        groups = {}  # the models have said so
    for name in groups:
        yield name, (*path, "path")
    for position, name in enumerate(items(metadata.get("front_matter"))):
        if text(name):
            yield text(name), (*path, "front_matter", position)
    for key in ("title", "modified"):
        if text(metadata.get(key)):
            yield text(metadata.get(key)), (*path, key)


def _have_room(
    path: KeyPath, raw: Mapping[str, Any], names: Mapping[str, KeyPath]
) -> Iterator[Problem]:
    """Each field must be a column that can be filled, or dynamic fields be allowed."""
    columns = {
        text(column.get("name")): text(column.get("type"))
        for column in map(mapping, items(raw.get("columns")))
    }
    for name, place in names.items():
        kind = columns.get(name)
        if kind is None and raw.get("dynamic") is False:
            yield Problem(
                place,
                f"the collection has no field `{name}`: add it to `columns`, or say "
                "`dynamic: true`",
            )
        elif kind and kind not in _FILLABLE:
            yield Problem(place, f"the column `{name}` is {kind}, which metadata can't fill")
