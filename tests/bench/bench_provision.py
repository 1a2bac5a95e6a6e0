"""`pulumi preview` of a stack that has not changed: 3 query nodes, 2 index nodes, etcd, MinIO,
Kafka and what is inside of Milvus, on a real Kubernetes node of this machine.

The Kubernetes provider there is the stand-in for tests, in Python, unless the real plugin is on
PATH: what it takes to start is told apart, the real one is a compiled program.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Result, Skipped, cpu_of, median_of, seconds_of
from tests.e2e import specs
from tests.e2e.images.build import IMAGES
from tests.e2e.node.node import Node
from tests.e2e.pulumi_engine import PLUGIN, STANDIN, Engine, kubernetes_plugin
from tests.e2e.site import new_site
from tests.e2e.toolchain.build import Toolchain, build, built, missing

PREVIEW_LIMIT = 10.0  # seconds
_EMPTY = "name: empty\nruntime:\n  name: python\n  options: {virtualenv: ../.venv}\n"


def results() -> Iterator[Result]:
    if reasons := missing():
        raise Skipped("; ".join(reasons))
    if not built():
        raise Skipped("the programs are not built: `make e2e` builds them")
    toolchain = build()
    with tempfile.TemporaryDirectory(prefix="kitestring-bench-") as name:
        folder = Path(name)
        with Node(folder / "node", toolchain, images=IMAGES) as node:
            empty = _empty(folder, toolchain)
            work = folder / "site"
            work.mkdir()
            with new_site(node, toolchain, work, specs.cluster(node.kubeconfig)) as site:
                up = site.engine.up()
                yield Result("provision-up", up.seconds, "s", detail={"resources": len(up.steps)})
                _unchanged(site.engine)  # compiles what a user has compiled
                bare, _ = median_of(3, lambda: empty.preview().seconds)
                value, runs = median_of(3, lambda: _unchanged(site.engine))
                detail = {
                    "cpu": cpu_of(lambda: _unchanged(site.engine), _part),
                    "without_refresh": round(_unchanged(site.engine, "--refresh=false"), 3),
                    "provider": site.engine.plugin,
                    "stand_in_start": round(_stand_in_start(site.engine), 3),
                }
                yield Result(
                    "provision-preview",
                    value,
                    "s",
                    runs,
                    PREVIEW_LIMIT,
                    "the engine on an empty program",
                    bare,
                    detail,
                )


def _part(command: list[str]) -> str:
    """Which part of the engine's work a process is."""
    text = " ".join(command)
    parts = {
        "pulumi-resource-kubernetes": "kubernetes provider",
        "pulumi.dynamic": "objects' provider",
        "language-python-exec": "program",
        "-m pip": "pip, which the engine asks for plugins",
    }
    return next((part for words, part in parts.items() if words in text), "engine")


def _unchanged(engine: Engine, *flags: str) -> float:
    done = engine.preview(*flags)
    if not done.unchanged:
        raise RuntimeError(f"the preview shows changes:\n{done.output}")
    return done.seconds


def _empty(folder: Path, toolchain: Toolchain) -> Engine:
    """A stack of a program that declares nothing."""
    program = folder / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text(_EMPTY)
    (program / "__main__.py").write_text("")
    engine = Engine(folder / "empty", toolchain.folders, program=program)
    engine.init({})
    return engine


def _stand_in_start(engine: Engine) -> float:
    """Seconds until the stand-in says where it listens; a preview starts it twice. 0 where the real
    plugin is used."""
    if kubernetes_plugin(engine.env["PATH"])[0] != STANDIN:
        return 0.0

    def start() -> None:
        with subprocess.Popen(
            [STANDIN / PLUGIN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=engine.env
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.kill()

    return seconds_of(start)
