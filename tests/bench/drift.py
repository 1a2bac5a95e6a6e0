"""Proves drift detection by injection, and writes the figures to `.bench/<time>-drift.json`.

    python -m tests.bench.drift [--rows 20000] [--seed N] [--clean-runs 50] [--only NAME…]

Plants a known number of each fault in a real Milvus, runs `kitestring drift` on it, and tells what
was planted, found, and said on runs where nothing was the matter. The seed is drawn anew and
printed; `--seed` repeats a run. Exit code 2 where a fault was not found exactly, or a clean run had
something to say.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kitestring.checks.registry import BY_ID
from kitestring.spec.loaded import LoadedSpec
from tests.bench.drift_faults import FAULTS, Fault, Planted
from tests.bench.drift_site import Seen, Site, as_command, site
from tests.bench.measure import machine

FOLDER = Path(".bench")
Detector = Callable[[LoadedSpec, tuple[str, ...]], Seen]  # of a spec and what `--only` takes
_ROWS = re.compile(r"([\d,]+) (?:rows?|documents?)\b")


@dataclass
class Outcome:
    """One fault. `other` are findings of checks that had nothing to do with it."""

    name: str
    check: str
    planted: int
    found: int
    seconds: float
    peak: int
    exit_code: int
    other: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        return self.found == self.planted and self.exit_code == 2 and not self.other


@dataclass
class Injection:
    """All faults, and the clean runs between and after them."""

    rows: int
    outcomes: list[Outcome] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    clean: list[Seen] = field(default_factory=list)
    spoken: Counter[str] = field(default_factory=Counter)  # check -> clean runs it had a word on
    words: list[str] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)  # check -> clean runs, likewise

    @property
    def passed(self) -> bool:
        return bool(self.outcomes) and all(o.exact for o in self.outcomes) and not self.spoken


def inject(
    here: Site,
    detector: Detector,
    faults: Iterable[Fault] = FAULTS,
    *,
    clean_runs: int,
    narrow: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Injection:
    """Plants each fault, detects, and undoes it. Clean runs are before the first, after the last,
    and between them as far as they go.

    Args:
        narrow: look at a fault with the checks of its family only, which takes less time and says
            nothing of what other checks think of it.
    """
    result = Injection(len(here.keys))
    _clean(here, detector, result)
    for one in faults:
        if why := BY_ID[one.check].unasked(here.loaded):
            result.left_out[one.name] = f"the spec {why}"
            continue
        with _planted(one, here) as planted:
            family = one.check.split(".")[0]
            seen = detector(planted.loaded or here.loaded, (family,) if narrow else ())
        result.outcomes.append(_outcome(one, planted, seen))
        tell(line(result.outcomes[-1]))
        if len(result.clean) < clean_runs - 1:
            _clean(here, detector, result)
    while len(result.clean) < max(2, clean_runs):
        _clean(here, detector, result)
    return result


@contextmanager
def _planted(one: Fault, here: Site) -> Iterator[Planted]:
    number = here.rng.randint(1, max(2, len(here.keys) // 100))
    planting = one.plant(here, number)
    yield next(planting)
    for _ in planting:
        raise RuntimeError(f"`{one.name}` yields more than once")


def _outcome(one: Fault, planted: Planted, seen: Seen) -> Outcome:
    found = _failing(seen)
    mine = [
        f
        for f in seen.facts["findings"]
        if (f["check"], f["verdict"], f["accepted"]) == (one.check, "fail", None)
    ]
    number = sum(map(_rows, mine)) if one.rows else len(mine)
    other = [
        f"{f['check']}: {f['message']}" for f in found if f["check"] not in (one.check, *one.along)
    ]
    return Outcome(
        one.name, one.check, planted.count, number, seen.seconds, seen.peak,
        seen.facts["exit_code"], other,
    )  # fmt: skip


def _failing(seen: Seen) -> list[Mapping[str, Any]]:
    """The findings that give exit code 2. Warnings are none: that a segment has not come into
    memory yet, right after a write, is one, and true."""
    return [
        f
        for f in seen.facts["findings"]
        if (f["verdict"], f["severity"], f["accepted"]) == ("fail", "fail", None)
    ]


def _rows(finding: Mapping[str, Any]) -> int:
    """How many rows or documents a finding tells of; what a label has is told of every label."""
    found = _ROWS.search(finding["message"]) or _ROWS.search(finding["observed"])
    return int(found[1].replace(",", "")) if found else 0


def _clean(here: Site, detector: Detector, result: Injection) -> None:
    """A run on which every check has to pass."""
    seen = detector(here.loaded, ())
    result.clean.append(seen)
    spoken = {run["id"]: run["reason"] for run in seen.facts["checks"] if run["verdict"] != "pass"}
    spoken |= {
        f["check"]: f["message"]
        for f in seen.facts["findings"]
        if f["verdict"] == "inconclusive" and not f["accepted"]
    }
    spoken |= {f["check"]: f["message"] for f in _failing(seen)}
    result.spoken.update(spoken.keys())
    result.words += [f"{check}: {text}" for check, text in spoken.items()]
    result.warnings.update(
        f["check"] for f in seen.facts["findings"] if f["severity"] == "warn" and not f["accepted"]
    )


def line(one: Outcome) -> str:
    text = f"{one.name:27} {one.check:26} {one.planted:8,} {one.found:8,} {one.seconds:8.2f} s"
    if one.peak:
        text += f" {one.peak / 2**20:8.0f} MiB"
    text += "  exact" if one.exact else f"  NOT EXACT (exit code {one.exit_code})"
    return text + "".join(f"\n    beside it: {other}" for other in one.other)


def table(result: Injection) -> Iterator[str]:
    """The same as Markdown, with what clean runs said of each check."""
    yield "| fault | check | planted | found | falsely reported | seconds | memory |"
    yield "|---|---|---|---|---|---|---|"
    for one in result.outcomes:
        yield (
            f"| {one.name} | `{one.check}` | {one.planted:,} | {one.found:,} "
            f"| {result.spoken[one.check]} of {len(result.clean)} | {one.seconds:.1f} "
            f"| {one.peak / 2**20:.0f} MiB |"
        )


def document(result: Injection, seed: int, dimension: int) -> Mapping[str, Any]:
    seconds = sorted(seen.seconds for seen in result.clean)
    return {
        "schema_version": 1,
        "bench": "drift",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seed": seed,
        "rows": result.rows,
        "dimension": dimension,
        "faults": [
            {
                **asdict(one),
                "exact": one.exact,
                "false_reports": result.spoken[one.check],
            }
            for one in result.outcomes
        ],
        "left_out": result.left_out,
        "clean_runs": {
            "runs": len(result.clean),
            "false_reports": dict(result.spoken),
            "words": result.words,
            "warnings": dict(result.warnings),
            "median_seconds": seconds[len(seconds) // 2],
            "peak": max(seen.peak for seen in result.clean),
        },
        "passed": result.passed,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.drift")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it")
    parser.add_argument("--clean-runs", type=int, default=50)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="faults, by name or check")
    parser.add_argument("--home", type=Path, help="where the data go  [default: $TMPDIR]")
    given = parser.parse_args()
    chosen = [f for f in FAULTS if not given.only or {f.name, f.check} & set(given.only)]
    if not chosen:
        names = ", ".join(f"`{f.name}`" for f in FAULTS)
        parser.error(f"there is no such fault; there are {names}")
    if given.rows < 200:
        parser.error("--rows: at least 200")
    # what is unwound by Ctrl-C is by a scheduler's signal too: no server stays
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    print(f"seed {seed}, {given.rows:,} rows of {given.dimension} dimensions", flush=True)
    print(f"{'fault':27} {'check':26} {'planted':>8} {'found':>8}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="kitestring-bench-", dir=given.home) as folder,
        site(Path(folder), given.rows, given.dimension, seed) as here,
    ):
        result = inject(
            here,
            as_command,
            chosen,
            clean_runs=given.clean_runs,
            tell=lambda text: print(text, flush=True),
        )
    facts = document(result, seed, given.dimension)
    for name, why in result.left_out.items():
        print(f"{name:27} left out: {why}")
    clean = facts["clean_runs"]
    print("\n".join(("", *table(result), "")))
    print(
        f"{clean['runs']} clean runs: {sum(result.spoken.values())} false reports, median "
        f"{clean['median_seconds']:.2f} s, at most {clean['peak'] / 2**20:.0f} MiB"
    )
    for text, times in Counter(result.words).items():
        print(f"    {times} times {text}")
    for check, times in result.warnings.items():
        print(f"    {times} times a warning of {check}")
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-drift.json"
    path.write_text(json.dumps(facts, indent=2) + "\n")
    print(f"  {path}", file=sys.stderr)
    return 0 if result.passed else 2


if __name__ == "__main__":
    sys.exit(main())
