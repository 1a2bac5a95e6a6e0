"""A drift report as people and programs read it."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from kitestring.drift import run_drift
from kitestring.model.evidence import ALL
from kitestring.model.snapshot import Tally
from kitestring.model.words import plural
from kitestring.render.formats import FORMATS, rendered_drift, write_drift
from kitestring.render.html import environment, model_bars
from kitestring.render.markdown import plain
from kitestring.render.words import data_size, duration, printable, when

NASTY = '<script>alert("x")</script> | \x1b[31m`_*'
VOID = {"meta", "link", "br", "hr", "img", "input"}


@pytest.fixture
def dirty(spec_from, with_docs, clean):
    """One finding of each group: a failure, an inconclusive check, a warning, an information."""
    docs = with_docs(
        census={
            "models": {"words@1": 2700, "other@2": 300},
            "model_examples": {"other@2": (NASTY,)},
            "ledger_rows": None,
        },
        replicas=2,
    ).collections["docs"]
    old = replace(clean.collections["docs"], census=None)
    snapshot = replace(clean, collections={"docs": docs, "old": old})
    return run_drift(spec_from(), snapshot)


class Page(HTMLParser):
    """Fails on tags that do not nest; keeps text, tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def parsed(html):
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page, re.sub(r"\s+", " ", " ".join(page.text))


def test_text(spec_from, with_docs):
    loaded = spec_from()
    report = run_drift(loaded, with_docs(indexes=()), only=["index", "rows"], without=ALL)
    passed = report.check_counts["pass"]
    assert rendered_drift(report, "text") == (
        "drift of test: fail · Milvus 2.3.5 · 2027-01-15 08:00:00 UTC · observed in 500 ms\n"
        "\n"
        "fail  index.missing  test/docs/index/embedding\n"
        "  the field `embedding` has no index\n"
        "  expected: HNSW COSINE M=16 efConstruction=200\n"
        "  observed: none\n"
        f"  hint: `kitestring reconcile --spec {loaded.file}`\n"
        f"  spec: {loaded.file}:13:9\n"
        "\n"
        "not run (left out by --without rows): rows.scan, ledger.absent, rows.missing, "
        "rows.orphan, rows.stale, rows.duplicate, rows.duplicate-content, rows.unfinished\n"
        "\n"
        f"{passed + 1} checks: {passed} passed, 1 failed, 0 inconclusive, 8 not run · "
        "3,000 rows read by segments · "
        "exit code 2\n"
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colour_only_on_a_terminal_that_wants_it(dirty, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR")
    terminal, pipe = Terminal(), io.StringIO()
    write_drift(dirty, "text", terminal)
    write_drift(dirty, "text", pipe)
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b" not in pipe.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    quiet = Terminal()
    write_drift(dirty, "text", quiet)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", quiet.getvalue())
    # the words are the same
    assert re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()) == pipe.getvalue()


def test_what_rows_say_cannot_steer_a_terminal(dirty):
    assert "\\x1b[31m" in rendered_drift(dirty, "text")


def test_json(dirty):
    facts = json.loads(rendered_drift(dirty, "json"))
    assert facts["schema_version"] == 1
    assert (facts["verdict"], facts["exit_code"], facts["fail_on"]) == ("fail", 2, "fail")
    assert facts["summary"] == {
        "checks": {"pass": dirty.check_counts["pass"], "fail": 1, "inconclusive": 5, "not_run": 0},
        "findings": {
            "fail": 1,
            "inconclusive": 1,
            "warn": 1,
            "info": 1,
            "suppressed": 0,
            "baseline": 0,
        },
    }
    assert [(f["check"], f["severity"], f["verdict"]) for f in facts["findings"]] == [
        ("embedding.model-mismatch", "fail", "fail"),
        ("ledger.absent", "warn", "inconclusive"),
        ("load.replicas", "warn", "fail"),
        ("schema.unmanaged", "info", "fail"),
    ]
    first = facts["findings"][0]
    assert first["location"]["line"] == 9
    assert NASTY in first["message"]
    assert re.fullmatch(r"[0-9a-f]{16}", first["fingerprint"])
    assert {
        k: v
        for k, v in next(c for c in facts["checks"] if c["id"] == "rows.missing").items()
        if k in ("id", "verdict", "reason")
    } == {"id": "rows.missing", "verdict": "inconclusive", "reason": "see ledger.absent"}
    docs, old = facts["snapshot"]["collections"]
    assert docs["rows"]["path"] == "segments"
    assert docs["rows"]["models"] == {"words@1": 2700, "other@2": 300}
    assert (docs["rows"]["read"], docs["rows"]["seconds"]) == (3000, 0.25)
    assert (old["name"], old["rows"]) == ("old", None)


def test_markdown(dirty):
    text = rendered_drift(dirty, "markdown")
    assert text.startswith("# Drift of `test`: fail\n")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Failures", "Inconclusive", "Warnings", "For information", "Checks", "Rows"]
    assert "\\<script\\>" in text
    assert "<script>" not in text
    for row in re.findall(r"^\|.*\|$", text, re.MULTILINE):
        assert len(re.findall(r"(?<!\\)\|", row)) in (4, 8), row


def test_markdown_keeps_code_and_disarms_the_rest():
    assert plain("`a_b` *c* <d> `e") == "`a_b` \\*c\\* \\<d\\> `e"


def test_html_is_one_whole_file(dirty):
    html = rendered_drift(dirty, "html")
    page, text = parsed(html)
    assert html.startswith("<!DOCTYPE html>")
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "img", "iframe", "object"), tag
        assert not {"src", "href", "srcset", "style"} & set(attrs), (tag, attrs)
    assert "://" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert NASTY.split("\x1b")[0] in text  # escaped in the source, whole for the reader
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\x1b" not in rendered_drift(dirty, "markdown")


def test_html_shows_counts_findings_and_rows(dirty):
    page, text = parsed(rendered_drift(dirty, "html"))
    for words in (
        f"{dirty.check_counts['pass']} checks passed",
        "1 failed",
        "5 inconclusive",
        "0 not run",
        "Failures (1)",
        "Inconclusive (1)",
        "Warnings (1)",
        "For information (1)",
        "words@1",
        "2,700 rows",
        "other@2 (not expected)",
        "300 rows",
        "expected",
        "observed",
        "hint",
        "cluster.yaml:9:5",
        "see ledger.absent",
    ):
        assert words in text, words
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert set(wanted) <= set(ids)
    widths = [float(a["width"]) for t, a in page.tags if t == "rect" and a["class"] != "fill-track"]
    assert widths == [100.0, pytest.approx(100 * 300 / 2700, abs=0.001)]
    cells = [a.get("scope") for t, a in page.tags if t == "th"]
    assert set(cells) == {"col", "row"}


def test_html_of_a_clean_report_and_of_one_without_rows(spec_from, clean, with_docs):
    _, text = parsed(rendered_drift(run_drift(spec_from(), clean), "html"))
    assert "No check has anything to say." in text
    report = run_drift(spec_from(), with_docs(census=None), without=ALL)
    _, text = parsed(rendered_drift(report, "html"))
    assert "No rows were read." in text
    assert "left out by --without rows" in text


def test_bars_of_labels(dirty):
    assert model_bars(dirty, "docs") == [
        ("words@1", 2700, "2,700 rows", ""),
        ("other@2 (not expected)", 300, "300 rows", "fail"),
    ]


def test_macros():
    template = environment().from_string(
        '{% import "macros.html.j2" as ui %}<main>'
        '{{ ui.badge("pass", "<ok>") }}{{ ui.inline("a `b` <c> `d") }}'
        '{{ ui.stack([("copy", 1.0, "1 s"), ("import", 3.0, "3 s"), ("none", 0, "0 s")]) }}'
        '{{ ui.table("T", ["A", "B#"], [["x", 1]]) }}{{ ui.bars([]) }}'
        '{{ ui.bars([("nothing", 0, "0", "")]) }}{{ ui.tiles([(1, "one", "")]) }}</main>'
    )
    page, text = parsed(template.render())
    assert "<ok>" in text
    widths = [a["width"] for t, a in page.tags if t == "rect" and a["class"] in ("s1", "s2")]
    assert widths == ["25.000", "75.000"]
    assert ("code", {}) in page.tags
    assert "a b <c> `d" in text


@pytest.mark.parametrize("output", FORMATS)
def test_every_format_of_an_empty_spec(spec_from, clean, output):
    report = run_drift(spec_from(), replace(clean, collections={}))
    assert "schema.missing-collection" in rendered_drift(report, output)


def test_many_examples_are_cut(spec_from, with_docs):
    keys = tuple(f"k{n}" for n in range(50))
    report = run_drift(spec_from(), with_docs(census={"orphan": Tally(50, keys)}))
    assert "k4" in report.findings[0].message
    assert "k5" not in report.findings[0].message


def test_words():
    assert when(1_800_000_000_000) == "2027-01-15 08:00:00 UTC"
    assert when(0) == "never"
    assert [duration(s) for s in (0.0004, 0.84, 4.2, 99.96, 200, 3600, 18_600, 788_400)] == [
        "0 ms",
        "840 ms",
        "4.2 s",
        "1 min 40 s",
        "3 min 20 s",
        "1 h",
        "5 h 10 min",
        "9 d 3 h",
    ]
    assert duration(-5) == "-5.0 s"
    assert [plural(n, "row") for n in (0, 1, 12_345)] == ["0 rows", "1 row", "12,345 rows"]
    assert [data_size(n) for n in (512, 1536, 3.2 * 2**30)] == ["512 B", "1.5 KiB", "3.2 GiB"]
    assert printable("a\x1b[1m\nü") == "a\\x1b[1m\\nü"
