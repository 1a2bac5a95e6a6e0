"""The demo, whole and cut short, on a copy of what it needs of a checkout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.server, pytest.mark.ansible]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose state is its own."""
    pytest.importorskip("milvus", reason="the `local` extra is not installed")
    if not Path(sys.executable).with_name("ansible-playbook").is_file():
        pytest.skip("ansible-playbook is not installed beside this Python")
    for entry in ROOT.iterdir():
        if entry.name not in (".git", ".kitestring", "infra"):
            (tmp_path / entry.name).symlink_to(entry)
    for file in (ROOT / "infra").rglob("*.yaml"):
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    return tmp_path


def processes_of(checkout: Path) -> list[psutil.Process]:
    """Processes whose files are in the checkout."""
    mine = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(checkout / ".kitestring") in w for w in words):
            mine.append(process)
    return mine


def demo(checkout: Path) -> subprocess.Popen[str]:
    table = checkout / "crontab.txt"
    crontab = checkout / "stand-in" / "crontab"  # not the user's own
    crontab.parent.mkdir()
    crontab.write_text(
        f"""#!/bin/sh
case "$1" in
  -l) touch {table}; exec cat {table};;
  *) exec cp "$1" {table};;
esac
"""
    )
    crontab.chmod(0o755)
    return subprocess.Popen(
        [sys.executable, "-m", "kitestring", "demo", "--root", str(checkout)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PATH": f"{crontab.parent}{os.pathsep}{os.environ['PATH']}"},
    )


def test_the_demo_finds_every_fault_and_leaves_nothing_running(checkout: Path) -> None:
    done = demo(checkout)
    page, told = done.communicate(timeout=900)

    assert done.returncode == 0, told
    assert "FAIL" not in told
    steps = [line for line in told.splitlines() if line.startswith("ok ")]
    assert len(steps) == 16, told
    assert "changed=0" in next(line for line in steps if "second run" in line)
    assert "exit code 2: all 8 found" in told
    html = Path(page.strip()).read_text()
    assert "rows.duplicate" in html
    assert "<script src" not in html
    assert processes_of(checkout) == []
    left = sorted(p.name for p in (checkout / ".kitestring" / "local").iterdir())
    assert left == ["ansible.log", "made-by-the-demo", "report.html"]
    assert "Keep the cron entry of the backup" in told
    assert "kitestring" not in (checkout / "crontab.txt").read_text()


@pytest.mark.parametrize("after", ["start Milvus", "ingest documents"])
def test_an_interrupted_demo_leaves_nothing_running(checkout: Path, after: str) -> None:
    running = demo(checkout)
    assert running.stderr is not None
    for line in running.stderr:
        if after in line:
            break
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=120)

    assert running.returncode == 130, rest
    assert "Traceback" not in rest
    assert processes_of(checkout) == []


def test_data_that_the_demo_did_not_make_is_not_touched(checkout: Path) -> None:
    ours = checkout / ".kitestring" / "local" / "state" / "ledger.sqlite"
    ours.parent.mkdir(parents=True)
    ours.write_text(json.dumps("mine"))

    done = demo(checkout)
    _, told = done.communicate(timeout=120)

    assert done.returncode == 1
    assert "holds data that the demo did not make" in told
    assert ours.read_text() == '"mine"'
