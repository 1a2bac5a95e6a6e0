"""One reconciliation of generated rows, in a process of its own: `… ROWS` prints JSON.

Two sides of so many rows: keys of 32 characters, content hashes of 64, a tenant, two labels; with
a known number of each fault. What is measured is everything that follows the reading: hashing,
sorting, spilling, comparing. Making the rows up is not.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from kitestring.model.murmur import hash_column
from kitestring.observe.reconcile import reconcile
from kitestring.observe.records import Run, make_run
from kitestring.observe.take import Columns, Taken, Tap, row_records
from kitestring.parallel import open_executor

BATCH, PART = 100_000, 1_000_000
COLUMNS = Columns("id", "hash", "model", "chunker", None, "tenant")
FAULTS = {"missing": 11, "orphan": 7, "stale": 5, "duplicate": 3}


def batches(rows: int, *, ledger: bool) -> Iterator[pa.RecordBatch]:
    """Rows 0 … of the store; the ledger's differ by the faults."""
    first = FAULTS["missing"] if not ledger else 0
    last = rows if ledger else rows + FAULTS["orphan"]
    for start in range(first, last, BATCH):
        numbers = np.arange(start, min(last, start + BATCH), dtype=np.uint64)
        content = _hex(numbers * np.uint64(0x9E3779B97F4A7C15), 4)
        if not ledger and start == first:
            content = pa.array(
                ["0" * 64] * FAULTS["stale"] + content[FAULTS["stale"] :].to_pylist()
            )
            # the same rows once more
            numbers = np.concatenate([numbers, numbers[100 : 100 + FAULTS["duplicate"]]])
            content = pa.concat_arrays([content, content[100 : 100 + FAULTS["duplicate"]]])
        keys = _hex(numbers, 2)
        label = pa.array(["model@1"]).take(pa.array(np.zeros(len(numbers), np.int8)))
        yield pa.record_batch(
            {"id": keys, "hash": content, "model": label, "chunker": label, "tenant": label}
        )


def _hex(numbers: np.ndarray, words: int) -> pa.Array:
    """Texts of 16 hexadecimal digits a word, different for each number."""
    mixed = numbers[:, None] * np.array([0xC2B2AE3D27D4EB4F, 1, 3, 5][:words], np.uint64)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    nibbles = np.empty((len(numbers), words * 16), np.uint8)
    for place in range(16):
        shift = np.uint64(4 * place)
        nibbles[:, place::16] = digits[((mixed >> shift) & np.uint64(15)).astype(np.int8)]
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(words * 16)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(nibbles)]
    return pa.Array.from_buffers(pa.string(), len(numbers), buffers)


def main(rows: int) -> None:
    clock, cpu = {"records": 0.0, "merge": 0.0}, time.process_time
    used = 0.0
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as name:
        folder, whole, theirs = Path(name), Taken(), []
        tap, part = Tap(COLUMNS, 0, folder), 0
        for batch in batches(rows, ledger=False):
            begun, spent = time.perf_counter(), cpu()
            tap.add(batch)
            if tap.taken.rows >= PART:
                whole.take(tap.finish())
                part += 1
                tap = Tap(COLUMNS, part, folder)
            clock["records"] += time.perf_counter() - begun
            used += cpu() - spent
        begun, spent = time.perf_counter(), cpu()
        whole.take(tap.finish())
        clock["records"] += time.perf_counter() - begun
        used += cpu() - spent
        held, seen = [], 0
        for batch in batches(rows, ledger=True):
            begun, spent = time.perf_counter(), cpu()
            positions = np.arange(batch.num_rows, dtype=np.uint32)
            held.append(
                row_records(hash_column(batch["id"]), hash_column(batch["hash"]), 0, 0, positions)
            )
            seen += batch.num_rows
            if seen >= PART:
                theirs.append(_spill(held, folder, len(theirs)))
                seen = 0
            clock["records"] += time.perf_counter() - begun
            used += cpu() - spent
        if held:
            theirs.append(_spill(held, folder, len(theirs)))
        begun, spent = time.perf_counter(), cpu()
        with open_executor("pool", workers=2) as pool:
            found = reconcile(pool, whole.runs, theirs, passages=whole.passages, watermark=1)
            clock["merge"] = time.perf_counter() - begun
            used += cpu() - spent
            worker = max(pool.run(_peak, range(4)))
    told = {kind: getattr(found, kind).count for kind in FAULTS}
    if told != FAULTS or found.ledger_rows != rows:
        raise SystemExit(f"found {told}, not {FAULTS}")
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "rows": rows,
                "seconds": clock["records"] + clock["merge"],
                **{f"{phase}_seconds": round(value, 2) for phase, value in clock.items()},
                "cpu_seconds": round(used + workers.ru_utime + workers.ru_stime, 2),
                "peak": _peak(),
                "peak_of_a_worker": worker,
            }
        )
    )


def _peak(_: int = 0) -> int:
    """The largest resident set of this process, in bytes; not what it was forked from."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found.group(1)) * 1024 if found else 0


def _spill(held: list[np.ndarray], folder: Path, number: int) -> Run:
    run = make_run(np.concatenate(held), folder / f"ledger-{number}")
    held.clear()
    return run


if __name__ == "__main__":
    main(int(sys.argv[1]))
