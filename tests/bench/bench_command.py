"""The command itself: `--help`, the check of a spec with 500 collections, and what is planned and
rendered of the production spec without a server."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from kitestring.spec.load import load
from tests.bench.measure import Result, kitestring, median_of, run, seconds_of

COLLECTIONS = 500
HELP_LIMIT, SPEC_LIMIT = 0.5, 1.0  # seconds
PLAN_LIMIT, RENDER_LIMIT = 1.0, 2.0
PROD = Path(__file__).resolve().parents[2] / "infra" / "clusters" / "prod.yaml"


def results() -> Iterator[Result]:
    bare, _ = median_of(5, lambda: run(sys.executable, "-c", "pass").seconds)
    value, runs = median_of(5, lambda: kitestring("--help").seconds)
    yield Result("help", value, "s", runs, HELP_LIMIT, "an empty Python process", bare)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(large_spec(COLLECTIONS))
        parse, _ = median_of(3, lambda: seconds_of(lambda: yaml.safe_load(file.read_text())))
        value, runs = median_of(5, lambda: kitestring("spec", "check", "--spec", str(file)).seconds)
        inside, _ = median_of(3, lambda: seconds_of(lambda: load(file)))
        yield Result(
            "spec-check-500",
            value,
            "s",
            runs,
            SPEC_LIMIT,
            "yaml.safe_load of the same file",
            parse,
            {"collections": COLLECTIONS, "bytes": file.stat().st_size, "load_seconds": inside},
        )
    at = ("--spec", str(PROD))
    for name, verb, limit in (
        ("capacity-plan", ("capacity", "plan"), PLAN_LIMIT),
        ("provision-render", ("provision", "render"), RENDER_LIMIT),
    ):
        done = [kitestring(*verb, *at) for _ in range(5)]
        value, runs = statistics.median(r.seconds for r in done), [r.seconds for r in done]
        detail = {"cpu": round(statistics.median(r.cpu for r in done), 3)}
        yield Result(name, value, "s", runs, limit, "an empty Python process", bare, detail)


def large_spec(collections: int) -> str:
    """A spec as people write it, with that many collections."""
    lines = [
        "version: 1",
        "cluster: {name: large, environment: test}",
        "connection: {uri: 'http://127.0.0.1:19530'}",
        "state: state",
        "models:",
        "  - {provider: hashing, name: hashing-word, version: '1', dimension: 384}",
        "objectives: {rpo: 24h, rto: 10m}",
        "collections:",
    ]
    for number in range(collections):
        lines += [
            f"  - name: docs_{number:04}",
            f"    description: Collection {number}",
            "    model: hashing-word@1",
            "    chunking: {strategy: sentence, size: 600, overlap: 80, version: 1}",
            "    indexes:",
            "      - field: embedding",
            "        type: HNSW",
            "        metric: COSINE",
            "        params: {M: 16, efConstruction: 200}",
            "    search:",
            "      params: {ef: 128}",
            "      top_k: 10",
            "    load: {loaded: true, replicas: 1}",
            f"    aliases: [current_{number:04}]",
        ]
    return "\n".join(lines) + "\n"
