"""Ctrl-C and a scheduler's signals undo, and undoing is not cut short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kitestring.backup.interrupts import shielded, stoppable


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
from kitestring.backup.interrupts import stoppable
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


def test_a_block_within_one_that_has_a_deadline_is_under_it() -> None:
    outer: list[object] = []
    with stoppable(lambda: None):
        outer.append(signal.getsignal(signal.SIGTERM))
        with stoppable():
            assert signal.getsignal(signal.SIGTERM) is outer[0]
        assert signal.getsignal(signal.SIGTERM) is outer[0]
