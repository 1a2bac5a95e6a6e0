"""The pages in a real browser: they show what they hold, quietly, on a phone and in the dark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.backup.drill_history import summary_of
from kitestring.checks.registry import CHECKS
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import CollectionScore, DrillRecord, Objective, Phase, Recall
from kitestring.model.finding import Acceptance, CheckRun, Finding, Severity, Verdict
from kitestring.model.report import DriftReport
from kitestring.model.snapshot import Snapshot
from kitestring.model.timeline import TimelineStep
from kitestring.render.drill import drill_html
from kitestring.render.drill_history import History, history_html
from kitestring.render.html import drift_html
from kitestring.render.report import report_page

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
RECORD = DrillRecord(
    id="20250131T013000Z-1a2b3c",
    backup="20250131T010000Z-aaaaaa",
    cluster="local",
    server_version="v2.3.5",
    started_at=1_738_287_000_000,
    finished_at=1_738_287_020_000,
    boundary=1_738_285_200_000,
    rpo_seconds=1800.0,
    rto_seconds=8.6,
    phases=(Phase("target", 4.0), Phase("copy", 0.3), Phase("import", 5.0), Phase("load", 3.3)),
    collections=(
        CollectionScore("a_collection_with_quite_a_long_name_as_people_give_them", 5120, 5120, True,
                        True, 0, (), Recall(10, 40, 0.99, 0.97, 1.0, 0.9, 0.998), "40 queries"),
    ),
    objectives=(Objective("rpo", "at most 24h", "30 min", True),),
    passed=True,
)  # fmt: skip
FINDING = Finding("index.missing", Severity.FAIL, "local/docs", "the index `embedding` is gone")
KNOWN = replace(
    FINDING,
    subject="local/a_collection_with_quite_a_long_name_as_people_give_them/index/embedding",
    accepted=Acceptance("suppressed", "rebuilt next week", "2025-02-28"),
)
DRIFT = DriftReport(
    "local", "x.yaml", Severity.FAIL,
    (CheckRun(FINDING.check, FINDING.subject, Verdict.FAIL, (FINDING, KNOWN)),), (),
    Snapshot("local", "v2.3.5", 1, {}),
    checks=tuple(check.info for check in CHECKS),
)  # fmt: skip
HISTORY = [
    replace(
        RECORD,
        id=f"202501{31 - n:02d}T013000Z-1a2b3c",
        started_at=RECORD.started_at - n * 86_400_000,
        rto_seconds=8.6 + n % 5,
        phases=(
            Phase("target", 4.0), Phase("copy", 0.3), Phase("import", 5.0), Phase("load", 2.3),
            Phase("first_answer", 1.0 + n % 5), Phase("index", 20.0 + 2 * n),
        ),
        full_seconds=28.6 + n % 5 + 2 * n,
        passed=n != 2,
    )
    for n in range(12)
]  # fmt: skip
BACKUPS = [
    BackupSummary(f"b{n}", "local", "physical", RECORD.boundary - n * 86_400_000, 1, "v2.3.5",
                  ("docs",), 5120, 40_000_000, 10_000_000, "")
    for n in range(8)
]  # fmt: skip
# asks the page itself whether it is wider than the window; the page has no script of its own
PROBE = """<script>
addEventListener("load", () => {
  const wide = [...document.querySelectorAll(".page *")]
    .filter(e => !e.closest(".scroll") && e.getBoundingClientRect().right > innerWidth + 1);
  document.body.dataset.window = innerWidth;
  document.body.dataset.overflow = wide.map(e => e.tagName + "." + e.className).join(" ");
  document.body.dataset.dark = getComputedStyle(document.body).backgroundColor;
});
</script></body>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("there is no Chromium on this machine (apt-get install chromium)")


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: `KITESTRING_ARTEFACTS`, else with the run's other files."""
    named = os.environ.get("KITESTRING_ARTEFACTS")
    folder = Path(named) / "pages" if named else tmp_path_factory.mktemp("pages")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pages() -> dict[str, str]:
    report = report_page(
        title="A demo",
        lead="in one sentence",
        drift=DRIFT,
        drill=RECORD,
        backups=[],
        timeline=[TimelineStep("ingest", "5,120 passages of `docs`", 14.0)],
    )
    history = History("local", [summary_of(r) for r in HISTORY], HISTORY, BACKUPS)
    return {
        "drill": drill_html(RECORD),
        "report": report,
        "history": history_html(history, RECORD),
        "drift": drift_html(DRIFT),
    }


def shown(chromium: str, page: Path, *options: str) -> tuple[str, list[str]]:
    """The page's elements after loading, and what the console and the network said."""
    done = subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={page.parent / 'profile'}", "--enable-logging=stderr", "--v=0",
            "--virtual-time-budget=2000", *options, "--dump-dom", page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.parametrize("name", ["drill", "report", "history"])
def test_a_page_shows_its_content_without_a_word_on_the_console(
    chromium: str, tmp_path: Path, name: str
) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages()[name])
    dom, console = shown(chromium, page)
    assert console == []
    for words in ("RTO by phase", "at most 24h", "0.9900 (0.9700 to 1.0000 at 95%)"):
        assert words in dom
    if name == "history":
        for words in ("RTO by phase over the drills", "75% reused", "first answer"):
            assert words in dom
    if name == "report":
        for words in ("A demo", "5,120 passages of", "index.missing"):
            assert words in dom


def test_the_page_of_a_drift_report(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages()["drift"])
    dom, console = shown(chromium, page)
    assert console == []
    for words in ("index.missing", "Failures (1)", "Suppressed (1)", "rebuilt next week"):
        assert words in dom
    assert "About this check" in dom
    assert "Mend." in dom


def test_the_console_of_a_faulty_page_is_heard(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages()["drill"].replace("</body>", "<script>nosuch()</script></body>"))
    _, console = shown(chromium, page)
    assert "nosuch" in " ".join(console)


@pytest.mark.parametrize("name", ["drill", "report", "history", "drift"])
def test_nothing_is_wider_than_a_small_window(chromium: str, tmp_path: Path, name: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages()[name].replace("</body>", PROBE))
    dom, _ = shown(chromium, page, "--window-size=500,900")
    assert re.search(r'data-window="(4\d\d|500)"', dom)
    assert 'data-overflow=""' in dom


def test_the_page_follows_a_dark_setting(chromium: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages()["drill"].replace("</body>", PROBE))
    light, _ = shown(chromium, page, "--blink-settings=preferredColorScheme=1")
    dark, _ = shown(chromium, page, "--blink-settings=preferredColorScheme=0")
    colours = [re.search(r'data-dark="([^"]+)"', dom) for dom in (light, dark)]
    assert colours[0]
    assert colours[1]
    assert colours[0][1] != colours[1][1]


@pytest.mark.parametrize("name", ["drill", "history", "drift"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("wide", ("--window-size=1200,1600", "--blink-settings=preferredColorScheme=1")),
        ("phone", ("--window-size=500,1600", "--blink-settings=preferredColorScheme=1")),
        ("dark", ("--window-size=1200,1600", "--blink-settings=preferredColorScheme=0")),
    ],
)
def test_screenshots_are_kept(
    chromium: str, tmp_path: Path, artefacts: Path, name: str, kind: str, options: tuple[str, ...]
) -> None:
    page, shot = tmp_path / "page.html", artefacts / f"{name}-{kind}.png"
    page.write_text(pages()[name])
    subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}", *options, "--hide-scrollbars",
            f"--screenshot={shot}", page.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    assert shot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert shot.stat().st_size > 20_000  # an empty page has some 5 kB


def test_a_page_prints(chromium: str, tmp_path: Path, artefacts: Path) -> None:
    page, paper = tmp_path / "page.html", artefacts / "history.pdf"
    page.write_text(pages()["history"])
    subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={paper}", page.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    pdf = paper.read_bytes()
    assert pdf.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 9
