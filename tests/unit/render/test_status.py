"""The status screen."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

from kitestring.model.collection import Index, IndexState
from kitestring.model.snapshot import Snapshot
from kitestring.render.status import status_json, write_status
from kitestring.spec.loaded import LoadedSpec

URI = "http://127.0.0.1:19530"
SpecFrom = Callable[..., LoadedSpec]


def screen(loaded: LoadedSpec, snapshot: Snapshot) -> str:
    out = io.StringIO()
    write_status(loaded, snapshot, URI, out)
    return out.getvalue()


def line(text: str, start: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(start))


def test_everything_is_on_it(spec_from: SpecFrom, clean: Snapshot) -> None:
    text = screen(spec_from(), clean)
    assert URI in text.splitlines()[0]
    row = line(text, "docs")
    for part in ("3,000", "words@1", "HNSW on embedding", "loaded, 1 replica", "1 on disk"):
        assert part in row
    assert line(text, "aliases").endswith("current → docs")
    assert "b1, 2 h ago, 3,000 rows; verified 1 h ago (full)" in line(text, "backup")
    assert "d1 passed 1 h ago: RPO 1 h, RTO 20.0 s" in line(text, "drill")
    assert "RPO 1 d, RTO 10 min" in line(text, "objectives")
    assert "\x1b" not in text


def test_what_is_missing_is_named(spec_from: SpecFrom, clean: Snapshot) -> None:
    empty = replace(clean, collections={}, aliases={}, backups=None, backups_error="no disk")
    text = screen(spec_from(), replace(empty, drills=()))
    assert "not on the server" in line(text, "docs")
    assert line(text, "aliases").endswith("none")
    assert "can't be read: no disk" in line(text, "backup")
    assert line(text, "drill").endswith("none")
    facts = json.loads(status_json(spec_from(), empty, URI))
    assert facts["missing_collections"] == ["docs"]
    assert facts["newest_backup"] is None


def test_rows_that_were_not_read_are_an_estimate(
    spec_from: SpecFrom, with_docs: Callable[..., Snapshot]
) -> None:
    text = screen(spec_from(), with_docs(census=None, load_state="NotLoad", replicas=0))
    assert "~3,000" in line(text, "docs")
    assert "not loaded" in line(text, "docs")


def test_several_models_an_index_in_the_making_and_a_scan_cut_short(
    spec_from: SpecFrom, with_docs: Callable[..., Snapshot]
) -> None:
    building = IndexState(Index("embedding", "embedding", "HNSW"), 3000, 1000, 2000, "InProgress")
    census = {"models": {"a@1": 1, "": 2}, "complete": False, "reason": "rows were written"}
    text = screen(spec_from(), with_docs(census=census, indexes=(building,)))
    assert "(no label): 2, a@1: 1" in line(text, "docs")
    assert "(1,000 of 3,000 rows, InProgress)" in line(text, "docs")
    assert "docs: rows were written" in line(text, "incomplete")


def test_the_newest_verified_backup_may_be_an_older_one(
    spec_from: SpecFrom, clean: Snapshot
) -> None:
    assert clean.backups
    older = clean.backups[0]
    newer = replace(older, id="b2", boundary=clean.taken_at - 600_000, verified_at=None)
    foreign = replace(newer, id="b9", cluster="other", boundary=clean.taken_at)
    snapshot = replace(clean, backups=(foreign, older, newer))
    assert "b2, 10 min ago, 3,000 rows; b1 was verified" in screen(spec_from(), snapshot)
    facts = json.loads(status_json(spec_from(), snapshot, URI))
    assert facts["newest_backup"]["id"] == "b2"
    assert facts["newest_verified_backup"]["id"] == "b1"
    none = replace(clean, backups=(newer,))
    assert "none was verified" in screen(spec_from(), none)
