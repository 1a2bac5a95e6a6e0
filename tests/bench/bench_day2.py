"""`playbooks/day2.yml` on a cluster with 50 collections: the second run, which changes nothing.

    python -m tests.bench day2

The first run makes the collections and the backup; the baseline is a play that only asks for facts
of the spec, which is what Ansible and one module cost.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from kitestring.local import running
from tests.bench.measure import Ran, Result, Skipped, run

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS, LIMIT = 50, 30.0  # seconds
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
DIMENSION = 64


def results() -> Iterator[Result]:
    if not PLAYBOOK.exists():
        raise Skipped("ansible-playbook is not installed (the `ansible` extra)")
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as folder:
        home = Path(folder)
        spec = _spec(home)
        with running(home / "milvus"):
            first = _play(spec, "playbooks/day2.yml")
            second = _play(spec, "playbooks/day2.yml")
            facts = _play(spec, "playbooks/unschedule.yml", "--check")
    changed = sum(int(n) for n in re.findall(r"changed=(\d+)", second.output))
    if changed:
        raise RuntimeError(f"the second run changed {changed}:\n{second.output}")
    yield Result("day2-first", first.seconds, "s", detail={"collections": COLLECTIONS})
    yield Result(
        "day2-again",
        second.seconds,
        "s",
        limit=LIMIT,
        baseline="a play of facts only",
        baseline_value=facts.seconds,
        detail={"collections": COLLECTIONS},
    )


def _play(spec: Path, playbook: str, *flags: str) -> Ran:
    tags = () if flags else ("--tags", "embedding,reconcile,compaction,backup")
    off = '{"compaction_cron": false, "backup_cron": false}'
    return run(
        str(PLAYBOOK), playbook, "-e", f"kitestring_spec={spec}", "-e", off, *tags, *flags, cwd=ROOT
    )


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
