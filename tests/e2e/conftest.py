"""A real Kubernetes for the session; skipped with the reasons where this machine can't."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.images.build import IMAGES
from tests.e2e.node.node import Node
from tests.e2e.toolchain.build import Toolchain, build, missing

HERE = Path(__file__).parent
# The longest first, so that no worker is left with one of them when the others are done (with
# `--no-loadscope-reorder`: pytest-xdist takes files with many tests first, and `test_demo` is one).
LONGEST = (
    "test_cluster",
    "test_standalone",
    "test_demo",
    "test_chart",
    "test_objects",
    "test_drill_target",
    "test_s3",
    "test_node",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        if "toolchain" in item.fixturenames:  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.e2e)
    ours.sort(key=lambda item: _place(item.path.stem))
    items[:] = [*(item for item in items if HERE not in item.path.parents), *ours]


def _place(module: str) -> int:
    return LONGEST.index(module) if module in LONGEST else len(LONGEST)


@pytest.fixture(scope="session")
def toolchain(pytestconfig: pytest.Config) -> Toolchain:
    """The programs that were built from the pinned modules; the first time takes a while."""
    if reasons := missing():
        pytest.skip("; ".join(reasons))
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")

    def say(line: str) -> None:
        if reporter is not None:
            reporter.write_line(line)

    return build(say)


@pytest.fixture(scope="session")
def node(toolchain: Toolchain) -> Iterator[Node]:
    """A running node with all images; it ends with the session, also when that is killed."""
    home = Path(tempfile.gettempdir()) / f"kitestring-e2e-{secrets.token_hex(4)}"
    try:
        with Node(home, toolchain, images=IMAGES) as running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)  # the logs of a node that did not come up


@pytest.fixture(scope="session")
def kubeconfig(node: Node) -> Path:
    """Of a user who may do everything on the session's node."""
    return node.kubeconfig


@pytest.fixture
def namespace(node: Node) -> Iterator[str]:
    """A namespace of the test's own, removed with everything in it."""
    name = f"t-{secrets.token_hex(4)}"
    node.kubectl("create", "namespace", name)
    yield name
    node.kubectl("delete", "namespace", name, "--wait=false")
