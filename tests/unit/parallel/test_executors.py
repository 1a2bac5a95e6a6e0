"""Every executor gives the same results, hands on errors, and leaves no process behind."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kitestring.errors import KitestringError, SegmentUnreadable, UsageError, WorkerLost
from kitestring.parallel import open_executor

FOREVER = """
import sys, time
from kitestring.parallel import open_executor

def work(_):
    print("at work", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    with open_executor("pool", workers=2) as pool:
        sys.exit(list(pool.run(work, [0, 1, 2])))
"""


def refuse(part: int) -> int:
    if part == 3:
        raise SegmentUnreadable("part 3 is damaged", hint="read over the API", subject="3")
    return part


@pytest.mark.parametrize("on", ["serial", "pool"])
def test_results_come_in_the_order_of_the_parts(on: str) -> None:
    with open_executor(on, workers=2) as executor:
        assert executor.name == on
        assert list(executor.run(math.isqrt, range(50))) == [math.isqrt(n) for n in range(50)]
        assert list(executor.run(math.isqrt, [])) == []


@pytest.mark.parametrize("on", ["serial", "pool"])
def test_an_error_comes_as_it_was_raised(on: str) -> None:
    with open_executor(on, workers=2) as executor:
        found = executor.run(refuse, range(9))
        assert list(itertools.islice(found, 3)) == [0, 1, 2]
        with pytest.raises(SegmentUnreadable) as raised:
            next(found)
    told: KitestringError = raised.value
    assert (told.message, told.hint, told.subject) == (
        "part 3 is damaged", "read over the API", "3"
    )  # fmt: skip


def test_a_worker_that_dies_is_told() -> None:
    with (
        pytest.raises(WorkerLost, match="ended before its part"),
        open_executor("pool", workers=1) as executor,
    ):
        list(executor.run(os._exit, [7]))


def test_an_error_stops_what_is_under_way_at_once() -> None:
    with pytest.raises(ZeroDivisionError), open_executor("pool", workers=2) as executor:
        list(executor.run(_slow_or_wrong, [0, 600]))
    left = [" ".join(child.cmdline()) for child in psutil.Process().children()]
    assert not [line for line in left if "spawn_main" in line]


def _slow_or_wrong(seconds: int) -> float:
    import time

    time.sleep(seconds)
    return 1 / seconds


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_outlives_an_interrupted_or_killed_run(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(FOREVER)
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(2):  # one that is only starting has its own way to say that it was interrupted
        assert process.stdout.readline() == "at work\n"
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive, gone
    assert said.count("Traceback") <= 1  # the parent's own KeyboardInterrupt


def test_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match="`moon` is nothing to run on"), open_executor("moon"):
        pass


def test_ray_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed") as told, open_executor("ray"):
        pass
    assert "kitestring[ray]" in told.value.hint
