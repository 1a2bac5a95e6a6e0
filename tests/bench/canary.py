"""False alarms and detection of the canary, against the theory; writes `.bench/canary.json`.

    python -m tests.bench.canary [--runs 1000] [--clean 200000] [--server-runs 10 | --no-server]

Rows of the one hashing model are planted among those of the other, under the right label. First
without a server, many times: the rows that the canary's own sampling chooses from 6,000 rows of
four segments, 3,000 the largest and 100 the smallest, are judged
by its own test, for a model that repeats itself and for one that does not. Clean runs are drawn by
the hundred thousand, since false alarms are rare. Then on a real Milvus, through
`kitestring embedding check`'s own code. Intervals are 95% (Wilson). Exit code 2 where a rate is not
what the theory says, or 5% bad rows are seen in less than 99%.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kitestring.canary.arrays import cosines
from kitestring.canary.measure import TOLERANCE
from kitestring.canary.sample import Sampled, Wanted, salt_of
from kitestring.checks.canary import graded
from kitestring.clients.embedder.hashing import HashingEmbedder
from kitestring.spec.models import FieldMap, HashingModel
from kitestring.stats.power import power, wilson
from kitestring.stats.rank import ALPHA, exceedance, limit
from tests.bench.measure import machine

OUT = Path(".bench") / "canary.json"
RATES = (0.0, 0.01, 0.02, 0.05, 0.20)
POPULATION, REFERENCE, ROWS, DIM = 6_000, 1000, 300, 64
TOLD = ("warn", "fail")
SEGMENTS = (3000, 5000, 5900)  # where one segment ends and the next begins
NOISES = 8  # draws of the noise of a model that does not repeat itself
WORDS = [a + b for a in ("ka", "lo", "mi", "te", "ru") for b in ("ne", "sto", "ver", "dal", "pi")]
OTHER = {"analyzer": "char_wb", "ngram_min": 3, "ngram_max": 4}


@dataclass(frozen=True)
class Line:
    """How often runs with a part of bad rows failed, and warned or failed."""

    where: str
    planted: float
    runs: int
    failed: int
    told: int  # warned or failed
    theory_failed: float
    theory_told: float | None  # None: hangs on how the cosines are spread

    @property
    def met(self) -> bool:
        low, high = wilson(self.failed, self.runs, z=3.3)  # 0.1%: many lines are judged
        if self.planted == 0:
            return low <= self.theory_failed
        enough = self.planted < 0.05 or self.failed >= 0.99 * self.runs
        return high >= self.theory_failed - 1e-9 and enough

    def text(self) -> str:
        low, high = wilson(self.failed, self.runs)
        theory = "       -" if self.theory_told is None else f"{self.theory_told:8.3%}"
        return (
            f"{self.where:14} {self.planted:4.0%} {self.runs:8,}  {self.failed / self.runs:8.3%}  "
            f"{f'{low:.3%} to {high:.3%}':20} {self.theory_failed:8.3%}  "
            f"{self.told / self.runs:8.3%}  {theory}  {'met' if self.met else 'MISSED'}"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "failed_interval": wilson(self.failed, self.runs),
            "met": self.met,
        }


HEAD = "                        runs    failed  95% interval           theory   told      theory"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.canary")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--clean", type=int, default=200_000)
    parser.add_argument("--server-runs", type=int, default=10)
    parser.add_argument("--no-server", action="store_true")
    given = parser.parse_args()
    lines: list[Line] = []
    print(HEAD)
    for line in measured(given.runs, given.clean, 0 if given.no_server else given.server_runs):
        lines.append(line)
        print(line.text(), flush=True)
    OUT.parent.mkdir(exist_ok=True)
    data = {
        "schema_version": 1,
        "bench": "canary",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "results": [line.as_dict() for line in lines],
    }
    OUT.write_text(json.dumps(data, indent=2) + "\n")
    print(f"  {OUT}", file=sys.stderr)
    return 0 if all(line.met for line in lines) else 2


def measured(runs: int, clean: int, server_runs: int) -> Iterator[Line]:
    """All lines, in their order."""
    texts = texts_of(POPULATION)
    for where, noise in (("repeatable", 0.0), ("not repeatable", 0.4)):
        if noise:
            yield _clean(clean)
        yield from _planted(where, runs, *_cosines(texts, noise))
    if server_runs:
        yield from _on_a_server(server_runs)


def texts_of(count: int) -> list[str]:
    rng = np.random.default_rng(7)
    return [" ".join(rng.choice(WORDS, 12)) + f" n{i}" for i in range(count)]


def hashing(options: Mapping[str, Any] | None = None) -> HashingEmbedder:
    model = {"provider": "hashing", "name": "h", "version": "1", "dimension": DIM}
    return HashingEmbedder(HashingModel.model_validate(model | {"options": options or {}}))


def _cosines(texts: Sequence[str], noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Of stored vectors with their texts embedded again: right rows, wrong rows; (draws, rows)."""
    rng = np.random.default_rng(11)
    exact, other = hashing().embed(texts), hashing(OTHER).embed(texts)

    def shaken(vectors: np.ndarray) -> np.ndarray:
        return vectors + rng.normal(size=vectors.shape, scale=noise / np.sqrt(DIM))

    stored, wrong = shaken(exact), shaken(other)
    again = [shaken(exact) for _ in range(NOISES if noise else 1)]
    return (
        np.stack([cosines(stored, one) for one in again]),
        np.stack([cosines(wrong, one) for one in again]),
    )


def _planted(where: str, runs: int, right: np.ndarray, wrong: np.ndarray) -> Iterator[Line]:
    every = pa.RecordBatch.from_pydict({"id": [f"{i:016x}" for i in range(POPULATION)]})
    keys = [every.slice(begin, end - begin) for begin, end in pairwise((0, *SEGMENTS, POPULATION))]
    rng = np.random.default_rng(13)
    failed, told = dict.fromkeys(RATES, 0), dict.fromkeys(RATES, 0)
    for run in range(runs):
        reference = _chosen(keys, REFERENCE, f"sign-off {run}")
        sample = _chosen(keys, 2 * ROWS, f"check {run}")
        tau = right[run % len(right)][reference].min()
        now = (run + 1) % len(right)
        place = rng.permutation(POPULATION)
        for rate in RATES:
            bad = place < rate * POPULATION
            seen = np.where(bad, wrong[now], right[now])[sample] < tau - TOLERANCE
            outcome = _judged(int(seen[:ROWS].sum()), int(seen.sum()), len(right) == 1)
            failed[rate] += outcome == "fail"
            told[rate] += outcome in TOLD
    for rate in RATES:
        yield Line(where, rate, runs, failed[rate], told[rate], *_theory(rate, len(right) == 1))


def _chosen(segments: Sequence[pa.RecordBatch], count: int, seed: str) -> np.ndarray:
    wanted = Wanted("id", ("id",), FieldMap(), "", count, salt_of(seed))
    found = Sampled.of(wanted)
    for number, keys in enumerate(segments):
        found.add(keys, wanted, number)
    return np.array([int(str(key), 16) for key in wanted.chosen(found).keys])


def _judged(first: int, both: int, repeatable: bool) -> str:
    """The canary's rule: a second sample where the first has some below, and too few."""
    if not first:
        return "pass"
    chance = exceedance(ROWS, REFERENCE, first)
    if chance > ALPHA:
        chance = exceedance(2 * ROWS, REFERENCE, both)
    return graded(chance, repeatable=repeatable).value


def _clean(runs: int) -> Line:
    """Clean runs by rank alone: which of all values are the sample's is all that counts."""
    rng = np.random.default_rng(17)
    failed = told = 0
    for start in range(0, runs, 5000):
        values = rng.standard_t(3, size=(min(5000, runs - start), REFERENCE + 2 * ROWS))
        below = values[:, REFERENCE:] < values[:, :REFERENCE].min(axis=1, keepdims=True)
        firsts, boths = below[:, :ROWS].sum(axis=1), below.sum(axis=1)
        for first, both in zip(firsts[firsts > 0], boths[firsts > 0], strict=True):
            outcome = _judged(int(first), int(both), repeatable=False)
            failed += outcome == "fail"
            told += outcome in TOLD
    return Line("ranks alone", 0.0, runs, failed, told, *_theory(0.0, repeatable=False))


def _theory(rate: float, repeatable: bool) -> tuple[float, float | None]:
    """The chance to fail, and to warn or fail.

    With bad rows: where all of them are below, and no others. Without: none for a model that
    repeats itself; else a bound of the failures, the chances of both samples added.
    """
    first, second = limit(ROWS, REFERENCE), limit(2 * ROWS, REFERENCE)
    assert first is not None
    assert second is not None
    if not rate:
        both = exceedance(ROWS, REFERENCE, first) + exceedance(2 * ROWS, REFERENCE, second)
        return (0.0, 0.0) if repeatable else (both, None)
    later = sum(
        comb(ROWS, k) * rate**k * (1 - rate) ** (ROWS - k) * power(ROWS, rate, second - k)
        for k in range(1, first)
    )
    return power(ROWS, rate, first) + later, power(ROWS, rate, 1) if repeatable else None


def _on_a_server(runs: int) -> Iterator[Line]:
    from kitestring.local import running
    from tests.bench.canary_site import Site

    with (
        tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder,
        running(Path(folder) / "milvus") as state,
        Site(Path(folder), state) as site,
    ):
        for rate in RATES:
            site.plant(rate)
            outcomes = [site.check(f"{rate} {run}") for run in range(runs)]
            failed = outcomes.count("fail")
            told = failed + outcomes.count("warn")
            yield Line("real Milvus", rate, runs, failed, told, *_theory(rate, True))


if __name__ == "__main__":
    sys.exit(main())
