from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from kitestring.model.ingest import FailedDocument, IngestReport, Passage, Progress, SearchReport
from kitestring.render.ingest import (
    ingest_json,
    ingest_notes,
    ingest_text,
    search_json,
    search_notes,
    search_text,
)
from kitestring.render.progress import ingest_progress

REPORT = IngestReport(
    collection="docs",
    tenant="default",
    model="m@1",
    chunker="fixed/64/0/1",
    documents=3,
    documents_written=1,
    documents_unchanged=1,
    documents_removed=0,
    rows_written=2000,
    rows_deleted=0,
    rows=5000,
    seconds=2.0,
    failed=(FailedDocument("a.pdf", "a.pdf: the PDF can't be read", "remove it"),),
    skipped=tuple(f"{n}.png: no extractor" for n in range(7)),
)
FOUND = SearchReport(
    question="q",
    collection="docs",
    model="m@1",
    metric="COSINE",
    confidence=0.5,
    passages=(
        Passage(0.4, "k1", "a.md", 3, "red\x1b[31m text\nhere", "m@2", confident=False),
        Passage(0.3, "k2", None, None, None, None, confident=False),
    ),
    seconds=0.1,
)


def test_an_ingestion_is_summed_up() -> None:
    text = ingest_text(REPORT)
    assert "3 documents: 1 written, 1 unchanged, 0 removed, 1 failed" in text
    assert "1,000 rows/s" in text
    notes = ingest_notes(REPORT)
    assert "failed: a.pdf: the PDF can't be read" in notes
    assert "skipped: 2 more" in notes
    plain = json.loads(ingest_json(REPORT))
    assert (plain["schema_version"], plain["exit_code"]) == (1, 1)


def test_passages_cannot_steer_the_terminal() -> None:
    text = search_text(FOUND)
    assert "1. 0.4000  a.md#3  m@2  below confidence" in text
    assert "\x1b" not in text
    assert "2. 0.3000  -#-" in text
    assert json.loads(search_json(FOUND))["passages"][0]["key"] == "k1"


def test_a_search_warns_of_another_model_and_of_no_confidence() -> None:
    notes = search_notes(FOUND)
    assert notes[0].startswith("note: no passage passes the confidence of the spec (0.5, COSINE)")
    assert "1 passage of 2 came from the model `m@2`" in notes[1]
    assert search_notes(replace(FOUND, passages=())) == ["note: `docs` has nothing to find"]


def test_a_progress_bar_shows_on_a_terminal_only() -> None:
    for terminal in (True, False):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=120)
        with ingest_progress(console=console) as show:
            assert (show is not None) == terminal
            if show:
                show(Progress(5, 10, 1234))
        assert ("1,234 rows" in out.getvalue()) == terminal
    with ingest_progress(quiet=True, console=Console(force_terminal=True)) as quiet:
        assert quiet is None
