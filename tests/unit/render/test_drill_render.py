"""Drills and the one-page report, as people and machines read them."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from kitestring.backup.drill_history import summary_of
from kitestring.model.backup import BackupSummary
from kitestring.model.codec import from_plain
from kitestring.model.collection import CollectionInfo, Schema
from kitestring.model.drill import (
    CollectionScore,
    DrillRecord,
    DrillSummary,
    Objective,
    Phase,
    Recall,
)
from kitestring.model.finding import CheckRun, Finding, Severity, Verdict
from kitestring.model.report import DriftReport
from kitestring.model.snapshot import ObservedCollection, RowCensus, Snapshot
from kitestring.model.timeline import TimelineStep
from kitestring.render.drill import (
    drill_html,
    drill_json,
    drill_markdown,
    drill_text,
    drills_json,
    drills_text,
)
from kitestring.render.prometheus_backup import drills_as_metrics
from kitestring.render.report import model_rows, outcome, report_page

RECORD = DrillRecord(
    id="20250131T013000Z-1a2b3c",
    backup="20250131T010000Z-aaaaaa",
    cluster="local",
    server_version="v2.3.5",
    started_at=1_738_287_000_000,
    finished_at=1_738_287_020_000,
    boundary=1_738_285_200_000,
    rpo_seconds=1800.0,
    rto_seconds=9.0,
    phases=(
        Phase("target", 4.0),
        Phase("copy", 0.3),
        Phase("import", 5.0),
        Phase("index", 0.4),
        Phase("load", 3.1),
        Phase("first_query", 0.2),
    ),
    collections=(
        CollectionScore(
            "docs_v1",
            5120,
            5120,
            True,
            True,
            0,
            (),
            Recall(10, 40, 0.9925, 0.98, 0.999, 0.9, 0.998),
            "40 golden queries",
        ),
    ),
    objectives=(Objective("rpo", "at most 24h", "30 min", True),),
    passed=True,
    notes=("one <note>",),
)
FAILED = replace(
    RECORD,
    passed=False,
    collections=(
        CollectionScore(
            "docs_v1",
            10,
            9,
            False,
            False,
            1,
            ("alias `a` is not restored",),
            None,
            "no vector field",
        ),
    ),
    objectives=(Objective("rows", "10", "9", False),),
)
LOST = Finding("index.missing", Severity.FAIL, "local/docs_v1", "the index `embedding` is gone")
ORPHAN = Finding("rows.orphan", Severity.FAIL, "local/docs_v1", "3 rows <nobody> wrote")


def report(*runs: CheckRun) -> DriftReport:
    info = CollectionInfo("docs_v1", 1, Schema(()), 1, (), "", {}, (), (), "Loaded", 1)
    census = RowCensus("segments", True, models={"good@1": 5100, "bad@1": 20})
    snapshot = Snapshot("local", "v2.3.5", 1, {"docs_v1": ObservedCollection(info, census=census)})
    return DriftReport("local", "x.yaml", Severity.FAIL, runs, (), snapshot)


def failing(*findings: Finding) -> DriftReport:
    return report(*(CheckRun(f.check, f.subject, Verdict.FAIL, (f,)) for f in findings))


class Page(HTMLParser):
    """The tags, ids and text of a page; fails on tags that are not closed in order."""

    VOID = frozenset({"meta", "br", "hr", "img", "rect", "line", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(k, v or "") for k, v in attrs]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style",):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def assert_self_contained(text: str) -> Page:
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert not [v for k, v in page.attributes if k in ("src", "href") and not v.startswith("#")]
    assert "url(" not in text
    assert "@import" not in text
    assert len(page.ids) == len(set(page.ids))
    named = {v for k, v in page.attributes if k == "aria-labelledby"}
    assert named <= set(page.ids)
    return page


def test_text_says_what_was_measured() -> None:
    text = drill_text(RECORD)
    assert "drill 20250131T013000Z-1a2b3c: passed" in text
    assert "RPO      30 min" in text
    assert "import 5.0 s" in text
    assert "up in 4.0 s, not counted in the RTO" in text
    assert "0.9925 (0.9800 to 0.9990 at 95%)" in text
    assert "40 golden queries" in text


def test_text_of_a_failed_drill_names_what_failed() -> None:
    text = drill_text(FAILED)
    assert ": failed" in text
    assert "9 of 10" in text
    assert "NOT as in the backup" in text
    assert "alias `a` is not restored" in text
    assert "MISSED" in text
    assert "not measured: no vector field" in text


def test_json_is_the_record() -> None:
    assert from_plain(DrillRecord, json.loads(drill_json(RECORD))) == RECORD
    assert json.loads(drill_json(RECORD))["schema_version"] == 1


def test_markdown_escapes_and_has_a_row_for_each_objective() -> None:
    text = drill_markdown(FAILED)
    assert "| rows | 10 | 9 | **missed** |" in text
    assert "<note>" not in text.replace("\\<note\\>", "")


@pytest.mark.parametrize("record", [RECORD, FAILED, replace(RECORD, phases=(), collections=())])
def test_the_page_stands_alone_and_says_what_the_record_says(record: DrillRecord) -> None:
    page = assert_self_contained(drill_html(record))
    assert record.backup in page.text
    assert ("passed" if record.passed else "failed") in page.text
    for score in record.collections:
        assert score.name in page.text
        for difference in score.differences:
            assert difference.replace("`", "") in page.text.replace(" . ", ". ").replace("`", "")


def test_the_bar_of_phases_is_as_wide_as_the_phases_are_long() -> None:
    text = drill_html(RECORD)
    widths = re.findall(r'class="s\d" x="[\d.]+" width="([\d.]+)"', text)
    assert [round(float(w), 1) for w in widths] == [3.3, 55.6, 4.4, 34.4, 2.2]


def test_values_are_escaped() -> None:
    assert "one <note>" not in drill_html(RECORD)
    assert html.escape("one <note>") in drill_html(RECORD)


def test_the_list_shows_an_unreadable_record() -> None:
    drills = [
        DrillSummary("20250131T013000Z-1a2b3c", "b1", 1, True, 10.0, 20.0),
        DrillSummary("broken", "", 0, False, 0, 0, {}, False, "the drill record … can't be read"),
    ]
    text = drills_text(drills)
    assert "passed" in text
    assert "unreadable  the drill record" in text
    data = json.loads(drills_json(drills))
    assert data["schema_version"] == 1
    assert [d["readable"] for d in data["drills"]] == [True, False]
    assert drills_text([]) == "no drill has been run yet\n"


def test_the_report_page_holds_everything() -> None:
    backup = BackupSummary(
        "20250131T010000Z-aaaaaa",
        "local",
        "physical",
        1,
        1_738_285_200_000,
        "v2.3.5",
        ("docs_v1",),
        5120,
        12_345_678,
        123_456,
        "ab",
        1_738_285_200_000,
        "full",
    )
    page = assert_self_contained(
        report_page(
            title="A demo",
            lead="in one sentence",
            drift=failing(LOST, ORPHAN),
            corrected=report(
                CheckRun("index.missing", "local/docs_v1", Verdict.PASS, ()),
                CheckRun("rows.orphan", "local/docs_v1", Verdict.FAIL, (ORPHAN,)),
            ),
            drill=RECORD,
            backups=[backup],
            timeline=[
                TimelineStep("ingest", "5,120 passages", 14.0),
                TimelineStep("drill", "broke off", 2.0, ok=False),
            ],
        )
    )
    for words in (
        "A demo",
        "in one sentence",
        "5,120 passages",
        "14.0 s",
        "16.0 s in all",
        "broke off",
        "index.missing",
        "corrected",
        "still there",
        "3 rows <nobody> wrote",
        "good@1",
        "5,100",
        "bad@1",
        "20250131T010000Z-aaaaaa",
        "11.8 MiB",
        "RTO by phase",
        "30 min",
        "recall@10",
    ):
        assert words in page.text, words


def test_a_report_of_nothing_says_so() -> None:
    page = assert_self_contained(
        report_page(title="Empty", drift=None, drill=None, backups=[], timeline=[])
    )
    for words in ("No step was run", "not compared", "no backup", "No drill was run"):
        assert words in page.text


def test_a_finding_is_corrected_only_when_it_was_looked_for_again() -> None:
    passed = CheckRun("index.missing", "local/docs_v1", Verdict.PASS, ())
    unsure = CheckRun("index.missing", "local/docs_v1", Verdict.INCONCLUSIVE, ())
    assert outcome(LOST, report(passed))[1] == "corrected"
    assert outcome(LOST, failing(LOST))[1] == "still there"
    assert outcome(LOST, report(unsure))[1] == "inconclusive"
    assert outcome(LOST, report())[1] == "not checked again"
    assert outcome(LOST, None)[1] == "not compared again"


def test_rows_by_model_are_sorted_by_size() -> None:
    ((name, bars),) = model_rows(report())
    assert name == "docs_v1"
    assert [(label, text) for label, _, text, _ in bars] == [("good@1", "5,100"), ("bad@1", "20")]


def test_a_copy_that_never_answered_has_no_rto() -> None:
    phases = (Phase("target", 4.0), Phase("copy", 0.3))
    broken = replace(FAILED, phases=phases, rto_seconds=0.3, collections=(), answered=False)
    assert "RTO      none  (the restored copy gave no right answer)" in drill_text(broken)
    assert "RTO none: the restored copy gave no right answer" in drill_markdown(broken)
    page = drill_html(broken)
    assert "gave no right answer" in page
    assert "right answer after" not in drill_text(broken) + page
    # phases that ended without one
    wrong = replace(RECORD, answered=False)
    assert (wrong.rto, RECORD.rto, replace(RECORD, answered=True).rto) == (None, 9.0, 9.0)
    summary = summary_of(broken)
    assert summary.rto_seconds is None
    assert re.search(r"failed .* none  20250131T010000Z", drills_text([summary]))
    assert "rto_seconds" not in drills_as_metrics("local", [summary], broken)
