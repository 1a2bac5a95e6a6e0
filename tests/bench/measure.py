"""Wall time and peak memory of a process, and the facts of the machine it ran on."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from kitestring import __version__

KITESTRING = [sys.executable, "-m", "kitestring"]
_POLL = 0.05  # seconds between two looks at a process's memory
_LOOK = 0.02  # seconds between two looks at all processes


class Skipped(Exception):
    """A bench that this machine can't run; the message says why."""


@dataclass(frozen=True)
class Ran:
    """One process that ended. `peak` is its own largest resident set in bytes (VmHWM): servers
    that it starts are not in it. `cpu` is in seconds, and of children that it waited for, too."""

    seconds: float
    cpu: float
    peak: int
    exit_code: int
    output: str


@dataclass
class Result:
    """One measured thing. `limit` is what it may be at most, in the unit of `value`."""

    name: str
    value: float
    unit: str
    runs: list[float] = field(default_factory=list)
    limit: float | None = None
    baseline: str = ""  # what the same machine did in the same run, to compare with
    baseline_value: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def within(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
        }
        if len(self.runs) > 1:
            found["runs"] = [round(r, 4) for r in self.runs]
        if self.limit is not None:
            found |= {"limit": self.limit, "within": self.within}
        if self.baseline_value is not None:
            found |= {
                "baseline": self.baseline,
                "baseline_value": round(self.baseline_value, 4),
                "ratio": round(self.value / self.baseline_value, 3),
            }
        if self.detail:
            found["detail"] = dict(self.detail)
        return found


def run(*command: str, cwd: Path | None = None, expect: Sequence[int] = (0,)) -> Ran:
    """Runs a command to its end.

    Raises:
        RuntimeError: it ended with another exit code than expected.
    """
    begun, before = time.perf_counter(), _children()
    process = subprocess.Popen(
        list(command), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak, text = 0, ""
    while True:
        peak = max(peak, _peak(process.pid))
        try:
            text, _ = process.communicate(timeout=_POLL)
            break
        except subprocess.TimeoutExpired:
            continue
        except BaseException:
            process.terminate()
            process.wait()
            raise
    seconds = time.perf_counter() - begun
    if process.returncode not in expect:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
    return Ran(seconds, _children() - before, peak, process.returncode, text)


def kitestring(*arguments: str, cwd: Path | None = None, expect: Sequence[int] = (0,)) -> Ran:
    return run(*KITESTRING, *arguments, cwd=cwd, expect=expect)


def median_of(runs: int, act: Callable[[], float]) -> tuple[float, list[float]]:
    """The median of what `act` gives, and all of it."""
    values = [act() for _ in range(runs)]
    return statistics.median(values), values


def seconds_of(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def cpu_of(act: Callable[[], object], name: Callable[[list[str]], str]) -> dict[str, float]:
    """Seconds of CPU of every process that is started meanwhile, by what `name` makes of its
    command line. What a process does after the last look at it, 20 ms at most, is missed."""
    seen: dict[int, tuple[str, float]] = {}
    ended = threading.Event()

    def look() -> None:
        there = {p.pid for p in psutil.Process().children(recursive=True)}
        while not ended.wait(_LOOK):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if process.pid not in there:
                        used = process.cpu_times()
                        called = seen.get(process.pid, ("",))[0] or name(process.cmdline())
                        seen[process.pid] = (called, used.user + used.system)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        act()
    finally:
        ended.set()
        thread.join()
    total: dict[str, float] = {}
    for called, seconds in seen.values():
        total[called] = round(total.get(called, 0.0) + seconds, 2)
    return total | {"all": round(sum(seconds for _, seconds in seen.values()), 2)}


def machine() -> dict[str, Any]:
    """What a figure depends on, without naming the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(memory / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "kitestring": __version__,
        **{name: version(name) for name in ("pymilvus", "pyarrow", "numpy", "pydantic")},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _children() -> float:
    """Seconds of CPU of every child that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak(pid: int) -> int:
    """The largest resident set of a process so far, in bytes; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0
