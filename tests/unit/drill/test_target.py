"""The target of a drill is never the source, and teardown is not cut short."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kitestring.backup.interrupts import shielded
from kitestring.drill.target import PREFIX, Endpoint, refuse_source, stoppable, sweep
from kitestring.errors import DrillRefused

SOURCE = Endpoint("http://127.0.0.1:19530", Path("/data/a"), 100)
OTHER = Endpoint("http://127.0.0.1:29530", Path("/data/b"), 200)


def test_another_empty_server_is_accepted() -> None:
    refuse_source(SOURCE, OTHER, [])
    refuse_source(None, OTHER, [])
    refuse_source(Endpoint("https://milvus.example:443"), OTHER, [])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Endpoint("http://127.0.0.1:19530"), "both are at"),
        (Endpoint("http://localhost:19530/"), "both are at"),
        (Endpoint("http://0.0.0.0:19530"), "both are at"),
        (Endpoint("http://127.0.0.1:1", None, 100), "the process 100"),
        (Endpoint("http://127.0.0.1:1", Path("/data/a"), 200), "data in /data/a"),
    ],
)
def test_the_source_is_refused_by_whatever_identifies_it(target: Endpoint, words: str) -> None:
    with pytest.raises(DrillRefused, match=words):
        refuse_source(SOURCE, target, [])


def test_a_target_that_holds_something_is_refused() -> None:
    with pytest.raises(DrillRefused, match="not empty: it has `docs`"):
        refuse_source(None, OTHER, ["docs"])


def test_the_directories_of_killed_drills_are_swept_and_others_stay(tmp_path: Path) -> None:
    for name in ("killed", "kept", "held"):
        (tmp_path / f"{PREFIX}{name}").mkdir()
        (tmp_path / f"{PREFIX}{name}" / "drill.lock").touch()
    (tmp_path / "kitestring-other").mkdir()
    (tmp_path / f"{PREFIX}kept" / "kept").touch()
    (tmp_path / f"{PREFIX}new").mkdir()
    for name in ("killed", "kept", "held"):
        os.utime(tmp_path / f"{PREFIX}{name}", (1, 1))
    with (tmp_path / f"{PREFIX}held" / "drill.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep(tmp_path)
        left = sorted(p.name for p in tmp_path.iterdir())
    assert left == [f"{PREFIX}held", f"{PREFIX}kept", f"{PREFIX}new", "kitestring-other"]


def test_ctrl_c_during_teardown_waits_for_its_end() -> None:
    done = []

    def torn_down() -> None:
        with shielded():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("teardown")

    with pytest.raises(KeyboardInterrupt):
        torn_down()
    assert done == ["teardown"]


def test_sigterm_unwinds_like_ctrl_c_and_the_old_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    undone = []

    def stopped() -> None:
        with stoppable(lambda: None):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                undone.append("target")

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert undone == ["target"]
    assert signal.getsignal(signal.SIGTERM) is before


STUCK = """
import sys, time
from pathlib import Path
from kitestring.drill.target import stoppable
with stoppable(lambda: Path(sys.argv[1]).touch(), unwind=0.3):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)
"""


def test_an_unwinding_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    mark = tmp_path / "cut"
    with subprocess.Popen(
        [sys.executable, "-c", STUCK, str(mark)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as stuck:
        assert stuck.stdout is not None
        stuck.stdout.readline()
        stuck.send_signal(signal.SIGINT)
        _, error = stuck.communicate(timeout=30)
    assert stuck.returncode == 130
    assert b"interrupted" in error
    assert mark.exists()


def test_what_ignores_a_hangup_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable(lambda: None):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
