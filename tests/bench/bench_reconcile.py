"""Rows against the ledger: the comparison alone at four sizes, the scan, and a whole drift run.

`rows-N` compares generated rows (see `reconcile_run`); its figures stand beside a projection to a
billion rows. `scan` reads key, content hash and label of a real server's rows from its files,
against pymilvus's `query_iterator`; `drift-rows` and `drift-full` are `kitestring drift` on a
million real rows, with the checks of the rows and with all (see `many_rows`).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.stack_state import read_stack_state
from kitestring.observe.from_segments import SegmentRows
from kitestring.observe.take import Columns
from kitestring.parallel import Serial
from kitestring.spec.loaded import LoadedSpec
from tests.bench.many_rows import NAME, many_rows
from tests.bench.measure import Result, kitestring, run

SIZES = [
    int(n) for n in os.environ.get("BENCH_ROWS", "1000000,2000000,5000000,10000000").split(",")
]
REAL = int(os.environ.get("BENCH_REAL_ROWS", "1000000"))
DIMENSION = 128
BILLION, NODES, CORES = 10**9, 8, 8  # what the projection is made for


def results() -> Iterator[Result]:
    rate = 0.0
    for rows in SIZES:
        ran = run(sys.executable, "-m", "tests.bench.reconcile_run", str(rows))
        found = json.loads(ran.output.splitlines()[-1])
        peak = found["peak"] + 2 * found["peak_of_a_worker"]
        rate = rows / found["cpu_seconds"]
        detail = {
            **found,
            "peak_mib_of_all": round(peak / 2**20),
            "rows_per_cpu_s": round(rate),
            "us_of_cpu_a_row": round(found["cpu_seconds"] / rows * 1e6, 2),
        }
        limit = 60.0 if rows == 10_000_000 else None
        yield Result(
            f"rows-{rows // 1_000_000}M", found["seconds"], "s", limit=limit, detail=detail
        )
        print(f"    {detail}", file=sys.stderr)
    yield from _real(rate)


def _real(compared: float) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder:
        home = Path(folder)
        with many_rows(home, REAL, DIMENSION) as (loaded, milvus):
            scan = _scan(milvus, loaded, home)
            yield scan
            yield _projected(REAL / scan.detail["cpu_seconds"], compared)
            yield drift_run(loaded, "drift-rows", "--only", "rows")
            yield drift_run(loaded, "drift-full")


def drift_run(loaded: LoadedSpec, name: str, *arguments: str) -> Result:
    """`kitestring drift`, which has to be clean: wall time, and the CPU of it and of the server."""
    server = _server(loaded)
    before, mine = _cpu(server), _of_children()
    ran = kitestring("drift", "--spec", str(loaded.file), *arguments)
    told = {
        "own_cpu_s": round(_of_children() - mine, 2),
        "server_cpu_s": round(_cpu(server) - before, 2),
    }
    detail = {"rows": REAL, "dimension": DIMENSION, "peak_mib": ran.peak >> 20, **told}
    print(f"    {ran.output.splitlines()[-1]} {detail}", file=sys.stderr)
    return Result(name, ran.seconds, "s", limit=60.0, detail=detail)


def _server(loaded: LoadedSpec) -> psutil.Process:
    folder = loaded.spec.connection.embedded
    state = read_stack_state(loaded.resolve(folder)) if folder else None
    if state is None:
        raise RuntimeError("the server is gone")
    return psutil.Process(state.pid)


def _of_children() -> float:
    """CPU of the processes that have ended, and of those that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _projected(scanned: float, compared: float) -> Result:
    """Hours for a billion rows: the scan on every core of a Ray cluster, the comparison on one
    node's. Rows a CPU second as measured in this run."""
    scan = BILLION / scanned / (NODES * CORES)
    merge = BILLION / compared / CORES
    print(
        f"    a billion rows on {NODES} nodes of {CORES} cores:"
        f" scan 1e9 / {scanned:,.0f} rows per CPU s / {NODES * CORES} cores = {scan:,.0f} s;"
        f" comparison 1e9 / {compared:,.0f} rows per CPU s / {CORES} cores = {merge:,.0f} s;"
        f" spilled {BILLION * (48 * 2 + 32) / 2**30:,.0f} GiB",
        file=sys.stderr,
    )
    return Result(
        "billion-projected", (scan + merge) / 60, "min", detail={"scan_s": scan, "merge_s": merge}
    )


def _scan(milvus: MilvusServer, loaded: LoadedSpec, home: Path) -> Result:
    info = milvus.describe(NAME)
    columns = Columns("id", "content_hash", "embedding_model", None, None)
    spill = home / "spill"
    spill.mkdir()
    seconds, used = [], []
    for _ in range(3):
        begun, spent = time.perf_counter(), time.process_time()
        source = SegmentRows(loaded, info, milvus.segments(NAME), columns)
        taken = source.take(Serial(), spill)
        seconds.append(time.perf_counter() - begun)
        used.append(time.process_time() - spent)
        if taken.rows != REAL:
            raise RuntimeError(f"{taken.rows} rows, not {REAL}")
    begun, some = time.perf_counter(), _iterated(milvus, columns.read(), 100_000)
    baseline = (time.perf_counter() - begun) * REAL / some
    value = min(seconds)
    return Result(
        "scan-segments", value, "s", seconds, None,
        "pymilvus query_iterator, by its first 100,000 rows", baseline,
        {
            "rows": REAL,
            "rows_per_s": round(REAL / value),
            "cpu_seconds": round(min(used), 2),
            "times_as_fast": round(baseline / value, 1),
        },
    )  # fmt: skip


def _iterated(milvus: MilvusServer, columns: list[str], limit: int) -> int:
    client: Any = milvus._client  # what a user of pymilvus has
    iterator = client.query_iterator(NAME, batch_size=10_000, limit=limit, output_fields=columns)
    rows = 0
    while found := iterator.next():
        rows += len(found)
    iterator.close()
    return rows
