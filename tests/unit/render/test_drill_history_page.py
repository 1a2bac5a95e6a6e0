"""The history of drills: trends, charts and the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from kitestring.model.backup import BackupSummary
from kitestring.model.drill import CollectionScore, DrillRecord, DrillSummary, Phase, Recall
from kitestring.render.charts import BYTES, SECONDS, scale
from kitestring.render.drill_history import (
    History,
    history_html,
    history_json,
    history_text,
    recall_chart,
    rpo_chart,
    rto_chart,
    size_chart,
    trends,
)
from kitestring.render.words import data_size, duration
from kitestring.spec.models import Objectives

DAY = 86_400_000


def record(number: int, *, rto: float = 10.0, index: float = 40.0, passed: bool = True,
           sampled: float | None = None, mean: float = 0.99) -> DrillRecord:  # fmt: skip
    recall = Recall(10, 40, mean, mean - 0.01, min(1.0, mean + 0.005), 0.9)
    return DrillRecord(
        id=f"202501{number:02d}T013000Z-1a2b3c",
        backup=f"202501{number:02d}T010000Z-aaaaaa",
        cluster="local",
        server_version="v2.3.5",
        started_at=1_735_700_000_000 + number * DAY,
        finished_at=1_735_700_060_000 + number * DAY,
        boundary=1_735_698_200_000 + number * DAY,
        rpo_seconds=1800.0 * number,
        rto_seconds=rto,
        phases=(
            Phase("target", 5.0), Phase("copy", rto / 10), Phase("import", rto / 2),
            Phase("load", 0.3 * rto), Phase("first_answer", rto / 10), Phase("index", index),
        ),
        collections=(CollectionScore("docs", 100, 100, True, True, 0, (), recall),),
        objectives=(),
        passed=passed,
        full_seconds=rto + index,
        sampled=sampled,
    )  # fmt: skip


OLD = replace(
    record(1),
    full_seconds=None,
    phases=(Phase("target", 1.0), Phase("index", 8.0), Phase("first_query", 2.0)),
)
RECORDS = [record(5, rto=12.0), record(4, passed=False), record(3, sampled=0.25), record(2), OLD]
BACKUPS = [
    BackupSummary("b2", "local", "physical", DAY, DAY, "v2.3.5", ("docs",), 10, 4000, 1000, ""),
    BackupSummary("b1", "local", "physical", 1, 1, "v2.3.5", ("docs",), 10, 4000, 4000, ""),
    BackupSummary("b0", "", "", 0, 0, "", (), 0, 0, 0, "", readable=False, problem="gone"),
]


def summary(found: DrillRecord) -> DrillSummary:
    return DrillSummary(
        found.id, found.backup, found.started_at, found.passed, found.rpo_seconds,
        found.rto_seconds, {}, full_seconds=found.full_seconds, sampled=found.sampled,
    )  # fmt: skip


HISTORY = History(
    "local",
    [*map(summary, RECORDS), DrillSummary("x", "", 0, False, 0, 0, {}, False, "cut <short>")],
    RECORDS,
    BACKUPS,
    objectives=Objectives(rpo=7200.0, rto=60.0),
)


def test_trends_are_of_whole_drills_that_passed() -> None:
    found = {trend.name: trend for trend in trends(HISTORY)}
    assert (found["RTO"].newest, found["RTO"].before) == (12.0, 10.0)
    assert (found["indexes"].newest, found["indexes"].before) == (52.0, 50.0)
    assert found["recall"].words == "0.9900 (median of the others: as before)"
    assert trends(History("local", [], [])) == []


def test_text_and_json_hold_every_drill_and_the_trends() -> None:
    text = history_text(HISTORY)
    assert "4 of 6 drills passed" in text
    assert "passed (sample of 25%)" in text
    assert re.search(r"RTO +12.0 s \(median of the others: 10.0 s before\)", text)
    data = json.loads(history_json(HISTORY))
    assert (data["schema_version"], len(data["drills"])) == (1, 6)
    assert {t["name"] for t in data["trends"]} == {"RPO", "RTO", "indexes", "recall"}
    assert "no drill" in history_text(History("local", [], []))


def test_the_bars_of_a_drill_are_its_phases_and_the_mark_is_its_first_answer() -> None:
    chart = rto_chart(RECORDS)
    assert chart is not None
    newest, old = chart.rows[0], chart.rows[-1]
    assert [p.label.split()[0] for p in newest.pieces] == [
        "copy", "import", "load", "first", "index",
    ]  # fmt: skip
    assert sum(p.width for p in newest.pieces) == pytest.approx(100.0)
    answered = [p for p in newest.pieces if not p.label.startswith("index")]
    assert newest.mark == pytest.approx(sum(p.width for p in answered))
    assert newest.text == "12.0 s / 52.0 s"
    assert old.text == "10.0 s"  # the index was part of it
    assert chart.rows[1].bad
    assert rto_chart([]) is None


def test_charts_of_rpo_sizes_and_recall() -> None:
    rpo = rpo_chart(HISTORY)
    assert rpo is not None
    assert [row.bad for row in rpo.rows] == [True, False, False, False, False]
    assert rpo.limit == pytest.approx(80.0)
    sizes = size_chart(BACKUPS)
    assert sizes is not None
    assert [row.text for row in sizes.rows] == [
        "3.9 KiB, 75% reused", "3.9 KiB, 0% reused",
    ]  # fmt: skip
    recall = recall_chart(RECORDS)
    assert recall is not None
    assert recall.scale.start == 0.9
    assert size_chart([]) is None
    assert recall_chart([]) is None


def test_ticks_are_round_in_their_unit() -> None:
    assert [w for _, w in scale(95.0, duration, units=SECONDS).ticks] == [
        "0 ms", "30.0 s", "60.0 s", "90.0 s",
    ]  # fmt: skip
    assert scale(9 * 3600.0, duration, units=SECONDS).ticks[1][1] == "2 h 30 min"
    assert scale(3.3e9, data_size, units=BYTES).ticks[1][1] == "1.0 GiB"
    assert scale(0.0, duration).percent(5.0) == 100.0
    for highest in (0.004, 1.0, 7.7, 1234.5, 8.6e12):
        ticks = scale(highest, duration, units=SECONDS).ticks
        assert 2 <= len(ticks) <= 6
        assert all(0 <= at <= 100 for at, _ in ticks)


def test_the_page_holds_the_charts_and_nothing_from_elsewhere() -> None:
    page = history_html(HISTORY, RECORDS[0])
    for words in (
        "RTO by phase over the drills", "RPO over the drills", "Recall of the restored indexes",
        "Sizes and reuse of the backups", "75% reused", "objective: at most 2 h",
        "cut &lt;short&gt;", f"Drill {RECORDS[0].id}", "12.0 s / 52.0 s",
    ):  # fmt: skip
        assert words in page
    assert not re.search(r"(src|href)=|url\(|<script|@import", page)
    empty = history_html(History("local", [], [], backups_problem="the catalog can't be read: no"))
    assert "the catalog can&#39;t be read: no" in empty
