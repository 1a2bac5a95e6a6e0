"""The verbs on a real server: ingest, drift, backup, restore, drill. Seconds and peak memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kitestring.local import running
from tests.bench.measure import Ran, Result, kitestring, median_of, seconds_of

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "infra" / "clusters" / "local.yaml"
DRIFT_LIMIT = 5.0  # seconds
MEMORY_LIMIT = 500.0  # MiB


def results() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder:
        home = Path(folder)
        spec = _spec(home)
        with running(home / "milvus"):
            yield from _verbs(home, str(spec))


def _spec(home: Path) -> Path:
    """The demo's spec, in a place of its own."""
    text = SPEC.read_text().replace("../../.kitestring/local/", "")
    text = text.replace("../golden/", f"{ROOT}/infra/golden/")
    spec = home / "local.yaml"
    spec.write_text(text)
    return spec


def _verbs(home: Path, spec: str) -> Iterator[Result]:
    from kitestring.demo.corpus import write_corpus
    from kitestring.spec.load import load

    loaded = load(Path(spec))
    name = loaded.spec.collections[0].name
    documents = write_corpus(home / "corpus")
    at = ("--spec", spec)
    ingest = ("ingest", str(home / "corpus"), "--collection", name, *at, "-o", "json")
    first = kitestring(*ingest)
    rows = _rows(spec)
    yield from _both("ingest", first, {"documents": documents, "rows": rows})
    again = kitestring(*ingest)
    yield from _both("ingest-again", again, baseline=("the first ingestion", first.seconds))
    kitestring("reconcile", *at)

    ran: list[Ran] = []

    def drift() -> float:
        ran.append(kitestring("drift", *at, "-o", "json", expect=(0, 2, 3)))
        return ran[-1].seconds

    value, runs = median_of(3, drift)
    yield Result(
        "drift", value, "s", runs, DRIFT_LIMIT, "reading the same rows over the query API",
        _api_scan(spec, name), {"rows": rows},
    )  # fmt: skip
    yield _memory("drift", max(ran, key=lambda r: r.peak))

    flush = _flush(spec, name)
    created = kitestring("backup", "create", *at)
    size = _size(home / "backups")
    yield from _both(
        "backup", created, {"bytes": size},
        baseline=("the server's flush alone", flush),
    )  # fmt: skip
    second = kitestring("backup", "create", *at)
    yield from _both(
        "backup-again", second, {"bytes_added": _size(home / "backups") - size},
        baseline=("the first backup", created.seconds),
    )  # fmt: skip
    restored = kitestring("restore", "latest", "--prefix", "restored_", "--no-aliases", *at)
    yield from _both("restore", restored, {"rows": rows})
    yield from _drill(home, at)


def _drill(home: Path, at: tuple[str, ...]) -> Iterator[Result]:
    out = home / "drill.json"
    ran = kitestring("drill", "run", *at, "-o", "json", "--out", str(out), expect=(0, 2))
    record = json.loads(out.read_text())
    detail = {
        "passed": record["passed"],
        "rto": record["rto_seconds"],
        "phases": {p["name"]: round(p["seconds"], 3) for p in record["phases"]},
        "recall": [c["recall"] and c["recall"]["mean"] for c in record["collections"]],
    }
    yield from _both("drill", ran, detail)


def _both(
    name: str,
    ran: Ran,
    detail: dict[str, object] | None = None,
    baseline: tuple[str, float] = ("", 0.0),
) -> Iterator[Result]:
    yield Result(name, ran.seconds, "s", [], None, baseline[0], baseline[1] or None, detail or {})
    yield _memory(name, ran)


def _memory(name: str, ran: Ran) -> Result:
    return Result(f"{name}-memory", ran.peak / 2**20, "MiB", [], MEMORY_LIMIT)


@contextmanager
def _connected(spec: str) -> Iterator[object]:
    from kitestring.clients.milvus.connect import connect
    from kitestring.spec.load import load

    with connect(load(Path(spec))) as milvus:
        yield milvus


def _rows(spec: str) -> int:
    with _connected(spec) as milvus:
        return int(milvus.count(milvus.list_collections()[0]))  # type: ignore[attr-defined]


def _api_scan(spec: str, name: str) -> float:
    """Seconds to read the fields that drift detection looks at, row by row of a query iterator."""
    columns = ["id", "content_hash", "embedding_model", "chunker"]
    with _connected(spec) as milvus:
        return seconds_of(lambda: list(milvus.scan(name, columns)))  # type: ignore[attr-defined]


def _flush(spec: str, name: str) -> float:
    """Seconds of the server's own flush: a backup waits for one."""
    with _connected(spec) as milvus:
        return seconds_of(lambda: milvus.flush(name))  # type: ignore[attr-defined]


def _size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
