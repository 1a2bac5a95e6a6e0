"""How far the capacity plan is off, on collections loaded now: relative error in percent.

The factors of `kitestring.capacity.calibration` are from these collections; with
`KITESTRING_BENCH_ALL=1` all of them are measured (half an hour), else one of each kind.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kitestring.capacity.calibration import CALIBRATION, MEASURED, Measured
from tests.bench.loaded_memory import Case, measure
from tests.bench.measure import Result

LIMIT = 30.0  # percent
FEW = ("FLAT 100,000 x 128", "FLAT 100,000 x 128, text 600", "IVF_FLAT nlist=256 100,000 x 384",
       "HNSW M=16 50,000 x 384")  # fmt: skip


def results() -> Iterator[Result]:
    chosen = [m for m in MEASURED if os.environ.get("KITESTRING_BENCH_ALL") or m.name in FEW]
    for known in chosen:
        with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder:
            yield _result(known, Path(folder) / "milvus")


def _result(known: Measured, data: Path) -> Result:
    params = dict(known.params)
    if known.index.startswith("HNSW"):
        params["efConstruction"] = 100
    loaded = measure(Case(known.rows, known.dim, known.index, params, text=known.text), data)
    planned = CALIBRATION.of(known)
    return Result(
        f"capacity {known.name}",
        abs(planned / loaded.took - 1) * 100,
        "%",
        limit=LIMIT,
        detail={
            "planned_mib": round(planned / 2**20, 1),
            "took_mib": round(loaded.took / 2**20, 1),
            "peak_mib": round((loaded.peak - loaded.before) / 2**20, 1),
            "idle_mib": round(loaded.before / 2**20, 1),
            "calibrated_mib": known.mebibytes,
            "segments": loaded.segments,
        },
    )
