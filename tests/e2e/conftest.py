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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and "toolchain" in item.fixturenames:  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.e2e)


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
