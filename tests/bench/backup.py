"""Speed and memory of backups and restores, at several sizes; writes `.bench/backup.json`.

    python -m tests.bench.backup [--sizes 1] [--runs 3] [--on auto|minio|local] [--only NAME…]

Sizes are in GB of rows with 384 dimensions. Each figure is set against a peer of the same run: the
ratio holds on another machine, seconds do not. Exit code 2 where one misses its mark.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.backup_site import DIM, NAME, ROW, Site, site
from tests.bench.measure import KITESTRING, Ran, machine, run

OUT = Path(".bench") / "backup.json"
MARKED = 1.0  # GB from which on a speed has to be met: below, what is fixed weighs too much
MEMORY = 512 * 2**20  # bytes that a verb may take at most
GROWTH = 1.25  # times the seconds of a GB, at the largest size against the smallest
BATCHES = ("1000", "5000", "10000")  # rows of an insert that pymilvus is tried with
INSERTED = 150_000  # rows that pymilvus inserts in each size of batch, at most
# the export comes first: after many copies were deleted, new pages cost some machines more
NAMES = ("export", "physical", "incremental", "verify", "restore", "logical")


@dataclass
class Figure:
    """One measured thing beside its peer. `least` is what the ratio has to be."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    least: float | None = None
    most: float | None = None
    peer: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        if self.ratio is None or (self.least is None and self.most is None):
            return None
        low = self.least is None or self.ratio >= self.least
        return low and (self.most is None or self.ratio <= self.most)

    def line(self) -> str:
        text = f"{self.name:34} {self.value:12,.1f} {self.unit:7}"
        if self.ratio is not None:
            mark = f"at least {self.least:g}" if self.least is not None else ""
            mark = f"at most {self.most:g}" if self.most is not None else mark
            judged = {True: "met ", False: "MISSED", None: ""}[self.met]
            text += f" {self.ratio:8.3f} x {self.peer:44} {judged} {mark}"
        return text.rstrip()


class Bench:
    """The measurements at one size."""

    def __init__(self, here: Site, size: float, runs: int) -> None:
        self.here, self.size, self.runs = here, size, runs
        self.rows = int(size * 1e9 / ROW)
        self.peaks: dict[str, int] = {}
        self.bytes = 0

    def measure(self, only: Sequence[str]) -> Iterator[Figure]:
        _say(f"{self.size:g} GB: writing {self.rows:,} rows of {DIM} dimensions")
        self.here.fill(self.rows)
        self.here.milvus.flush(NAME)
        for name in only:
            for figure in getattr(self, f"_{name}")():
                if self.size < MARKED:
                    figure.least = None
                yield figure
        for verb, peak in self.peaks.items():
            yield Figure(
                f"memory of {verb}", peak / 2**20, "MiB", peak / MEMORY, most=1.0, peer="512 MiB"
            )

    # --- physical

    def _physical(self) -> Iterator[Figure]:
        bare = statistics.median(self.here.bare_copy(f"bare{n}") for n in range(self.runs))
        for how in ("keys", "new"):  # what is read back; the last stays, for what follows
            made = []
            for _ in range(self.runs):
                self.here.clear("full")
                made.append(self._create(self._spec("full"), "create", "--read-back", how))
            self.bytes = int(made[0][1]["copied_bytes"])
            self.full = statistics.median(ran.seconds for ran, _ in made)
            # objects are read back while others are copied: the two phases are one span of time;
            # a flush is the server's
            work = self.work = statistics.median(_work(manifest) for _, manifest in made)
            detail = {
                "seconds": self.full,
                "bytes": self.bytes,
                "phases": [manifest["seconds"] for _, manifest in made],
                "bare_seconds": bare,
            }
            rate = self.bytes / 1e6
            yield Figure(
                f"physical backup, --read-back {how}", rate / work, "MB/s", bare / work,
                0.8 if how == "keys" else None,  # a bare copy reads nothing back
                peer=f"bare copy ({rate / bare:,.0f} MB/s)", detail=detail,
            )  # fmt: skip
        yield Figure(
            "  with the flush and the start", rate / self.full, "MB/s", bare / self.full,
            peer="bare copy",
        )  # fmt: skip

    def _incremental(self) -> Iterator[Figure]:
        made = []
        new = max(1, self.rows // 100)
        for n in range(self.runs):
            self.here.fill(new, start=10_000_000 + n * new)
            self.here.milvus.flush(NAME)
            made.append(self._create(self._spec("full")))
        again = statistics.median(_work(manifest) for _, manifest in made)
        command = statistics.median(ran.seconds for ran, _ in made)
        detail = {"seconds": command, "full_seconds": self.full, "rows": new,
                  "phases": [manifest["seconds"] for _, manifest in made]}  # fmt: skip
        yield Figure(
            "incremental backup of 1% new rows", again, "s", self.work / again, 10.0,
            peer="as fast as the full one", detail=detail,
        )  # fmt: skip
        yield Figure(
            "  with the flush and the start", command, "s", self.full / command,
            peer="as fast as the full one",
        )  # fmt: skip
        stored = statistics.median(manifest["copied_bytes"] for _, manifest in made)
        yield Figure(
            "what it stores", stored / 1e6, "MB", stored / self.bytes, most=0.05,
            peer="of the full one's bytes",
        )  # fmt: skip

    def _verify(self) -> Iterator[Figure]:
        for tier in ("list", "full"):
            ran = self._kitestring(
                f"verify --tier {tier}", self._spec("full"), "backup", "verify", "--tier", tier
            )
            yield Figure(f"verify --tier {tier}", ran.seconds, "s")

    def _restore(self) -> Iterator[Figure]:
        spec = self._spec("full")
        ran = self._kitestring(
            "restore (physical)", spec,
            "restore", "latest", "--prefix", "r_", "--no-aliases", "-o", "json",
        )  # fmt: skip
        phases = _document(ran)["seconds"]
        self._drop("r_")
        peer = self._peer("write", BATCHES)
        rate = self.rows / _until_imported(phases)
        yield Figure(
            "physical restore, no index", rate, "rows/s", rate / peer["rate"], 2.0,
            peer=f"pymilvus inserts of {peer['batch']} rows",
            detail={"seconds": ran.seconds, "phases": phases, "peer": peer},
        )  # fmt: skip

    # --- logical

    def _export(self) -> Iterator[Figure]:
        spec = self._spec("full")
        self._create(spec)
        done = [self._export_once(spec) for _ in range(self.runs)]
        work = [made["seconds"] for made, _ in done]
        rows = sum(c["rows"] for c in done[0][0]["collections"])
        self.iterator = self._peer("read")
        for name, runs, least in (
            ("export through the segment reader", work, 15.0),
            ("  with the start", [ran.seconds for _, ran in done], None),
        ):
            spent = statistics.median(runs)
            rate = rows / spent
            yield Figure(
                name, rate, "rows/s", rate / self.iterator["rate"], least,
                peer="pymilvus query_iterator",
                detail={"seconds": spent, "runs": runs, "peer": self.iterator},
            )  # fmt: skip

    def _export_once(self, spec: Path) -> tuple[dict[str, Any], Ran]:
        with tempfile.TemporaryDirectory(dir=self.here.home) as folder:
            target = str(Path(folder) / "out")
            ran = self._kitestring(
                "export", spec, "backup", "export", "latest", "--to", target, "-o", "json"
            )
        return _document(ran), ran

    def _logical(self) -> Iterator[Figure]:
        iterator = getattr(self, "iterator", None) or self._peer("read")
        for way, storage, least in (("the segment reader", True, None), ("the API", False, 2.5)):
            name = "segments" if storage else "api"
            spec = self.here.spec(f"logical-{name}", storage=storage, method="logical")
            ran, manifest = self._create(spec, f"create --method logical, {name}")
            spent = _work(manifest) or ran.seconds
            rate = self.rows / spent
            yield Figure(
                f"logical backup through {way}", rate, "rows/s", rate / iterator["rate"], least,
                peer="pymilvus query_iterator",
                detail={
                    "seconds": ran.seconds,
                    "phases": manifest.get("seconds", {}),
                    "peer": iterator,
                },
            )  # fmt: skip
        spec = self.here.spec("logical-segments", method="logical")
        ran = self._kitestring(
            "restore (logical)", spec,
            "restore", "latest", "--prefix", "l_", "--no-aliases", "-o", "json",
        )  # fmt: skip
        phases = _document(ran)["seconds"]
        self._drop("l_")
        peer = self._peer("write", BATCHES)
        rate = self.rows / _until_imported(phases)
        yield Figure(
            "logical restore", rate, "rows/s", rate / peer["rate"], 1.0,
            peer=f"pymilvus inserts of {peer['batch']} rows",
            detail={"seconds": ran.seconds, "phases": phases, "peer": peer},
        )  # fmt: skip

    # --- what runs

    def _spec(self, backups: str) -> Path:
        return self.here.spec(backups)

    def _create(self, spec: Path, verb: str = "create", *more: str) -> tuple[Ran, dict[str, Any]]:
        ran = self._kitestring(verb, spec, "backup", "create", "-c", NAME, "-o", "json", *more)
        return ran, _document(ran)

    def _kitestring(self, verb: str, spec: Path, *arguments: str) -> Ran:
        _say(f"{self.size:g} GB: {verb}")
        os.sync()  # what was written before is no part of what is measured
        ran = run(KITESTRING[0], "-m", "kitestring", "-q", *arguments, "--spec", str(spec))
        self.peaks[verb] = max(ran.peak, self.peaks.get(verb, 0))
        return ran

    def _peer(self, what: str, more: Sequence[str] = ()) -> dict[str, Any]:
        cached: dict[str, Any] | None = getattr(self, f"_peer_{what}", None)
        if cached is not None:
            return cached
        # an iterator is slower in the first part of a collection: it reads all of it
        rows = str(self.rows if what == "read" else min(self.rows, INSERTED))
        _say(f"{self.size:g} GB: pymilvus, {what}")
        os.sync()
        ran = run(
            sys.executable, "-m", "tests.bench.backup_peers", what, self.here.milvus.uri, NAME,
            rows, *more,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(ran.output.strip().splitlines()[-1])
        found["rate"] = found["rows"] / found["seconds"]
        setattr(self, f"_peer_{what}", found)
        return found

    def _drop(self, prefix: str) -> None:
        name = f"{prefix}{NAME}"
        count = self.here.milvus.count(name)
        # the 1% of incremental backups may be there too
        if count < self.rows:
            raise RuntimeError(f"{name} has {count:,} rows, not {self.rows:,}")
        self.here.milvus.drop_collection(name)


def _document(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.output[ran.output.index("{") :])
    return found


def _until_imported(phases: Mapping[str, float]) -> float:
    """Seconds of a restore until the rows are there: without the start of the command, and without
    what indexes, loading and the first query take. The peers are measured in the same way."""
    return sum(spent for name, spent in phases.items() if name in ("copy", "import", "rows"))


def _work(manifest: Mapping[str, Any]) -> float:
    """Seconds of a backup's making without the server's flush and the start of the command."""
    seconds: Mapping[str, float] = manifest.get("seconds", {})
    return sum(spent for name, spent in seconds.items() if name != "flushing")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.backup")
    parser.add_argument("--sizes", default="1", help="GB, with commas between  [default: 1]")
    parser.add_argument("--runs", type=int, default=3, help="of what a median is taken of")
    parser.add_argument("--on", choices=("auto", "minio", "local"), default="auto")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME")
    parser.add_argument("--home", type=Path, help="where the data go  [default: $TMPDIR]")
    given = parser.parse_args()
    # what is unwound by Ctrl-C is by a scheduler's signal too: no server stays
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    document: dict[str, Any] = {
        "schema_version": 1,
        "bench": "backup",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "runs": given.runs,
        "sizes": [],
    }
    missed = False
    for size in (float(text) for text in given.sizes.split(",")):
        with (
            tempfile.TemporaryDirectory(prefix="kitestring-bench-", dir=given.home) as folder,
            site(Path(folder), on=given.on) as here,
        ):
            print(f"\n{size:g} GB on {here.kind}", flush=True)
            found: list[Figure] = []
            document["sizes"].append({"gb": size, "on": here.kind, "figures": []})
            try:
                for figure in Bench(here, size, given.runs).measure(given.only):
                    found.append(figure)
                    print(figure.line(), flush=True)
            finally:  # what was measured before an error is kept
                document["sizes"][-1]["figures"] = [{**vars(f), "met": f.met} for f in found]
                OUT.parent.mkdir(exist_ok=True)
                OUT.write_text(json.dumps(document, indent=2) + "\n")
            missed |= any(f.met is False for f in found)
    missed |= not _proportion(document)
    _say(f"written to {OUT}")
    return 2 if missed else 0


def _proportion(document: dict[str, Any]) -> bool:
    """Seconds of each verb by size, and how many times those of the smallest one a GB of the
    largest one takes; whether that is as many at most as `GROWTH`."""
    table: dict[str, dict[float, float]] = {}
    for entry in document["sizes"]:
        for figure in entry["figures"]:
            seconds = figure["detail"].get("seconds") or (
                figure["value"] if figure["unit"] == "s" else None
            )
            if seconds:
                table.setdefault(figure["name"], {})[entry["gb"]] = seconds
    met = True
    if len(document["sizes"]) > 1:
        print("\nseconds by size in GB, and a GB of the largest against one of the smallest")
        for name, by_size in table.items():
            cells = "  ".join(f"{gb:g}: {s:7.1f}" for gb, s in by_size.items())
            small, large = min(by_size), max(by_size)
            growth = (by_size[large] / large) / (by_size[small] / small)
            judged = "met " if growth <= GROWTH else "MISSED"
            met = met and growth <= GROWTH
            print(f"{name:38} {cells}  {growth:6.2f} x {judged} at most {GROWTH:g}")
    return met


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
