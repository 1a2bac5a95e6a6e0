"""What a collection's canary needs: a model to ask, texts to ask it with, vectors to compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.loaded import KeyPath
from kitestring.spec.models import FieldMap
from kitestring.spec.plain import items, mapping, text
from kitestring.spec.problems import Problem

COMPARED = ("FLOAT_VECTOR", "FLOAT16_VECTOR", "BFLOAT16_VECTOR")


def check_canary(path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of `canary` within one collection.

    Args:
        path: the collection's key path.
        raw: its plain values.
    """
    if raw.get("canary") is None:
        return
    fields = mapping(raw.get("fields"))
    if raw.get("model") is None:
        yield Problem(
            (*path, "canary"), "texts are embedded again to be compared: name the `model`"
        )
    if fields.get("text", "") in (None, "none"):
        yield Problem(
            (*path, "canary"),
            "no field plays the role `text`: there is nothing to embed again; name it in "
            "`fields.text`, or remove `canary`",
        )
    name = text(fields.get("vector", FieldMap.model_fields["vector"].default))
    for column in map(mapping, items(raw.get("columns"))):
        kind = text(column.get("type"))
        if text(column.get("name")) == name and kind and kind not in COMPARED:
            yield Problem(
                (*path, "canary"),
                f"vectors of type {kind} can't be compared by their cosine",
                allowed=", ".join(COMPARED),
            )
