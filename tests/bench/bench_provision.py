"""`pulumi preview` of infra/clusters/prod.yaml when nothing has changed: 3 query nodes, 2 index
nodes, 3 etcd, S3 outside, and what is inside of Milvus, on a real Kubernetes node of this machine.
`specs.prod` says in what the spec differs: sizes of pods, one Kafka, no identity of AWS.

The Kubernetes provider there is the stand-in for tests, in Python, unless the real plugin is on
PATH: what it takes to start is told apart, the real one is a compiled program.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kitestring.manifests.base import CertificatePlan
from kitestring.provision.certificates import certificates
from tests.bench.measure import Result, Skipped, cpu_of, median_of, seconds_of
from tests.e2e import specs
from tests.e2e.images.build import IMAGES
from tests.e2e.node.node import Node
from tests.e2e.node.provisioner import storage_class
from tests.e2e.pulumi_engine import PLUGIN, STANDIN, Engine, kubernetes_plugin
from tests.e2e.s3.minio import running_minio
from tests.e2e.site import Site, new_site
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
            with _prod(node, toolchain, folder) as site:
                up = site.engine.up()
                yield Result("provision-up", up.seconds, "s", detail={"resources": len(up.steps)})
                _unchanged(site.engine)  # compiles what a user has compiled
                bare, _ = median_of(3, lambda: empty.preview().seconds)
                value, runs = median_of(3, lambda: _unchanged(site.engine))
                detail = {
                    "resources": len(up.steps),
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


@contextmanager
def _prod(node: Node, toolchain: Toolchain, folder: Path) -> Iterator[Site]:
    """The production stack, not up yet, and what its spec expects to be there: a bucket, a storage
    class, and the Secret with its certificate."""
    work = folder / "site"
    work.mkdir()
    with running_minio(toolchain.tool("minio"), folder / "s3", node.layout.host_ip) as s3:
        spec = specs.prod(s3.url)
        s3.client().create_bucket(Bucket=spec["storage"]["bucket"])
        fast = {**storage_class(), "metadata": {"name": spec["deployment"]["storage_class"]}}
        node.kubectl("apply", "-f", "-", stdin=json.dumps(fast))
        namespace = spec["deployment"]["namespace"]
        node.kubectl("create", "namespace", namespace)
        made = certificates(CertificatePlan((spec["connection"]["tls"]["server_name"],)))
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": spec["deployment"]["security"]["tls"]["secret"]},
            "stringData": made.values(),
        }
        node.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(secret))
        with new_site(node, toolchain, work, spec) as site:
            keys = {"MILVUS_S3_ACCESS_KEY": s3.access_key, "MILVUS_S3_SECRET_KEY": s3.secret_key}
            site.engine.environment = keys
            yield site


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
