"""`playbooks/day2.yml` on a cluster with 50 collections: the second run, which changes nothing.

    python -m tests.bench day2

The first run makes the collections and the backup. The baseline is the same run without the role
`observe`, in which every task looks for itself. Seconds of CPU are those of the play and its
modules, without the server: they hold on a machine that has other work.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from kitestring.local import running
from tests.bench.measure import Ran, Result, Skipped, run

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS, LIMIT = 50, 30.0  # seconds
DAY2 = "playbooks/day2.yml"
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
DIMENSION = 64


def results() -> Iterator[Result]:
    if not PLAYBOOK.exists():
        raise Skipped("ansible-playbook is not installed (the `ansible` extra)")
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder:
        home = Path(folder)
        spec = _spec(home)
        with running(home / "milvus"):
            first, _ = _play(spec)
            second, cpu = _play(spec)
            each, cpu_each = _play(spec, "--skip-tags", "observe")
    changed = sum(int(n) for n in re.findall(r"changed=(\d+)", second.output + each.output))
    if changed:
        raise RuntimeError(f"the second run changed {changed}:\n{second.output}")
    yield Result("day2-first", first.seconds, "s", detail={"collections": COLLECTIONS})
    yield Result(
        "day2-again",
        second.seconds,
        "s",
        limit=LIMIT,
        baseline="every task looks for itself",
        baseline_value=each.seconds,
        detail={"collections": COLLECTIONS},
    )
    yield Result(
        "day2-again-cpu",
        cpu,
        "s",
        baseline="every task looks for itself",
        baseline_value=cpu_each,
    )


def _play(spec: Path, *flags: str) -> tuple[Ran, float]:
    """The run, and the seconds of CPU of its processes; without cron entries of the user's own."""
    off = json.dumps({f"{role}_cron": False for role in ("compaction", "backup", "restore_drill")})
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = run(str(PLAYBOOK), DAY2, "-e", f"kitestring_spec={spec}", "-e", off, *flags, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ran, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _spec(home: Path) -> Path:
    """Fifty collections of the row contract, each with an index and an alias."""
    index = {"field": "embedding", "type": "HNSW", "metric": "COSINE",
             "params": {"M": 16, "efConstruction": 100}}  # fmt: skip
    document = {
        "version": 1,
        "cluster": {"name": "bench"},
        "connection": {"embedded": "milvus", "timeout": "20s"},
        "state": "state",
        "storage": {"type": "embedded"},
        "models": [
            {"provider": "hashing", "name": "w", "version": "1", "dimension": DIMENSION},
        ],
        "collections": [
            {
                "name": f"docs_{number:02}",
                "model": "w@1",
                "indexes": [index],
                "aliases": [f"current_{number:02}"],
            }
            for number in range(COLLECTIONS)
        ],
        "backup": {"store": {"type": "local", "path": "backups"}},
        "objectives": {"rpo": "24h", "rto": "10m"},
    }
    spec = home / "cluster.yaml"
    spec.write_text(yaml.safe_dump(document, sort_keys=False))
    return spec
