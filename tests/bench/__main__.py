"""Measures speed and memory, and writes the figures to `.bench/<time>-<name>.json`.

    python -m tests.bench [NAME…]       all of them where none is named: command, recall,
                                        stack, demo, segments, provision, day2
    python -m tests.bench capacity      the capacity plan against loaded collections (8 minutes)
    python -m tests.bench reconcile     rows against the ledger, up to 10 million (5 minutes)

Figures go to stdout, one a line. Exit code 2 when a limit is passed. Each is set against a
baseline of the same run where there is one: the ratio holds on another machine, seconds don't.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.measure import Result, Skipped, machine

NAMES = ("command", "recall", "stack", "demo", "segments", "provision", "day2")
BY_NAME = ("capacity", "reconcile")  # long: only where they are named
FOLDER = Path(".bench")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join((*NAMES, *BY_NAME)))
    names = parser.parse_args().names or NAMES
    unknown = sorted(set(names) - {*NAMES, *BY_NAME})
    if unknown:
        parser.error(f"there is no bench `{unknown[0]}`: {', '.join((*NAMES, *BY_NAME))}")
    within = True
    for name in names:
        facts, found = machine(), []
        try:
            for result in importlib.import_module(f"tests.bench.bench_{name}").results():
                found.append(result)
                within &= result.within
                print(_line(result), flush=True)
        except Skipped as why:
            print(f"{name:18} skipped: {why}", flush=True)
        finally:  # what was measured before an error is kept
            print(f"  {_write(name, facts, found)}", file=sys.stderr)
    return 0 if within else 2


def _write(name: str, facts: Mapping[str, Any], found: Sequence[Result]) -> Path:
    FOLDER.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = FOLDER / f"{now:%Y%m%dT%H%M%SZ}-{name}.json"
    data = {
        "schema_version": 1,
        "bench": name,
        "at": now.isoformat(timespec="seconds"),
        "machine": facts,
        "results": [r.as_dict() for r in found],
    }
    path.write_text(json.dumps(data, indent=2) + "\n")
    return path


def _line(result: Result) -> str:
    text = f"{result.name:18} {result.value:10.3f} {result.unit:4}"
    if result.limit is not None:
        text += f"{'within' if result.within else 'OVER'} {result.limit:g} {result.unit}"
    if result.baseline_value:
        ratio = result.value / result.baseline_value
        text += f"  {ratio:.2f} x {result.baseline} ({result.baseline_value:.3f} s)"
    if (cpu := result.detail.get("cpu")) is not None:
        text += f"  cpu {cpu['all'] if isinstance(cpu, Mapping) else cpu:.2f} s"
    return text.rstrip()


if __name__ == "__main__":
    sys.exit(main())
