"""`kitestring demo`, as a user runs it after the installation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Result, kitestring

ROOT = Path(__file__).resolve().parents[2]
LIMIT, MEMORY_LIMIT = 120.0, 500.0  # seconds, MiB


def results() -> Iterator[Result]:
    ran = kitestring("demo", "--root", str(ROOT))
    steps = {}
    for line in ran.output.splitlines():
        words = line.split(maxsplit=3)
        if len(words) == 4 and words[0] in ("ok", "FAIL") and words[2] == "s":
            steps[words[3][:22].strip()] = float(words[1])
    yield Result("demo", ran.seconds, "s", [], LIMIT, detail={"steps": steps})
    yield Result("demo-memory", ran.peak / 2**20, "MiB", [], MEMORY_LIMIT)
