"""What the proofs that a collection asks for need beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping
from kitestring.spec.problems import Problem


def check_proofs(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of `recall` and `retrieval` of each collection."""
    for position, raw in enumerate(map(mapping, items(data.get("collections")))):
        path: KeyPath = ("collections", position)
        yield from _recall(path, raw, data.get("objectives") is not None)
        yield from _retrieval(path, raw)


def _recall(path: KeyPath, raw: Mapping[str, Any], objectives: bool) -> Iterator[Problem]:
    if raw.get("recall") is None:
        return
    wanted = mapping(raw.get("recall"))
    here = (*path, "recall")
    if wanted.get("queries", "golden") == "golden":
        yield from _needs_golden(here, raw, "or ask with `queries: stored`")
    missing = [key for key in ("k", "minimum") if wanted.get(key) is None]
    if missing and not objectives:
        yield Problem(
            here,
            f"the spec has no `objectives` that say what is wanted: add {' and '.join(missing)}",
        )


def _retrieval(path: KeyPath, raw: Mapping[str, Any]) -> Iterator[Problem]:
    if raw.get("retrieval") is None:
        return
    here = (*path, "retrieval")
    yield from _needs_golden(here, raw)
    fields = mapping(raw.get("fields"))
    if fields.get("doc_id", "") in ("none", None):
        yield Problem(here, "the answers are compared by document: no field plays `doc_id`")
    if mapping(raw.get("retrieval")).get("hybrid") and fields.get("text", "") in ("none", None):
        yield Problem((*here, "hybrid"), "BM25 reads the passages: no field plays `text`")


def _needs_golden(here: KeyPath, raw: Mapping[str, Any], otherwise: str = "") -> Iterator[Problem]:
    for key, why in (("golden", "the file of golden queries"), ("model", "what embeds them")):
        if raw.get(key) is None:
            tail = f", {otherwise}" if otherwise else ""
            yield Problem(here, f"the collection has no `{key}`: name {why}{tail}")
