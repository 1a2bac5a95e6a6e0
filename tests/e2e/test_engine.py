"""The real engine, the real API server, and the provider's plugin (or its stand-in) between."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.node.node import Node
from tests.e2e.pulumi_engine import Engine, kubernetes_plugin
from tests.e2e.toolchain.build import Toolchain

PROGRAM = Path(__file__).parent / "programs" / "engine"
PASSWORD = "not-in-the-state"


@pytest.fixture
def engine(tmp_path: Path, toolchain: Toolchain, node: Node, namespace: str) -> Iterator[Engine]:
    made = Engine(tmp_path, toolchain.folders, node.kubeconfig, program=PROGRAM)
    made.init({"namespace": namespace})
    yield made
    made.destroy("--exclude-protected", check=False)


def test_the_plugin_in_use_is_named(tmp_path: Path) -> None:
    folder, which = kubernetes_plugin(str(tmp_path))
    assert (folder / "pulumi-resource-kubernetes").is_file()
    assert "stand-in" in which
    (tmp_path / "pulumi-resource-kubernetes").write_text("#!/bin/sh\n")
    (tmp_path / "pulumi-resource-kubernetes").chmod(0o755)
    folder, which = kubernetes_plugin(str(tmp_path))
    assert folder == tmp_path
    assert "real" in which


def test_the_life_of_a_stack(engine: Engine, node: Node, namespace: str) -> None:
    planned = engine.preview()
    assert planned.changes["create"] == 5
    assert engine.up().changes["create"] == 5
    data = json.loads(node.kubectl("-n", namespace, "get", "cm", "settings", "-o", "json"))["data"]
    assert data == {"camelCase": "1", "snake_case": "x"}
    assert engine.up().unchanged
    assert engine.preview().unchanged

    # secrets: in the cluster, and nowhere in the state
    found = node.kubectl("-n", namespace, "get", "secret", "password", "-o", "json")
    assert base64.b64decode(json.loads(found)["data"]["password"]).decode() == PASSWORD
    state = json.dumps(engine.export())
    stored = "".join(f.read_text() for f in engine.backend.rglob("*.json*"))
    for text in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert text not in state
        assert text not in stored

    # by hand, and back
    node.kubectl("-n", namespace, "patch", "cm", "settings", "-p", '{"data":{"camelCase":"2"}}')
    node.kubectl("-n", namespace, "scale", "deployment", "workload", "--replicas=2")
    (step, other) = sorted(engine.preview("--refresh").changed, key=lambda s: s.name)
    assert (step.op, step.name, step.paths) == ("update", "settings", ("data.camelCase",))
    assert (other.op, other.name, other.paths) == ("update", "workload", ("spec.replicas",))
    assert engine.up("--refresh").changes["update"] == 2
    assert engine.preview("--refresh").unchanged

    # a change of the program, in place and by replacement
    engine.configure({"value": "3", "app": "b"})
    steps = {s.name: s for s in engine.preview().changed if "replace" in s.op or s.op == "update"}
    assert steps["settings"].op == "update"
    assert "replace" in steps["workload"].op
    engine.up()
    made = json.loads(node.kubectl("-n", namespace, "get", "deployment", "workload", "-o", "json"))
    assert made["spec"]["selector"]["matchLabels"] == {"app": "b"}

    # what the API server would not take is said before anything is touched
    engine.configure({"value": "4", "pull": "Sometimes"})
    refused = engine.preview(check=False)
    assert not refused.ok
    assert any("imagePullPolicy" in m and "Sometimes" in m for m in refused.messages)


def test_what_is_kept_outlives_the_stack_and_is_taken_over(
    engine: Engine, node: Node, namespace: str
) -> None:
    engine.configure({"keep": "true"})
    engine.up()
    refused = engine.destroy(check=False)
    assert not refused.ok, "protected objects went with the stack"
    engine.destroy("--exclude-protected")
    left = node.kubectl("-n", namespace, "get", "secret,cm,deploy", "-o", "name").split()
    assert "secret/password" in left
    assert "configmap/settings" not in left
    assert engine.up().ok
    assert engine.preview().unchanged

    # an unprotected object that is kept leaves the state, and not the cluster
    engine.unprotect()
    engine.destroy()
    assert node.kubectl("-n", namespace, "get", "secret", "-o", "name").split()
    engine.configure({"keep": "false", "upsert": "false"})
    taken = engine.up(check=False)
    assert not taken.ok
    assert any("already exists" in message for message in taken.messages)
    engine.configure({"upsert": "true"})
    assert engine.up().ok


def test_an_api_server_that_is_not_there_is_named(tmp_path: Path, toolchain: Toolchain) -> None:
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {token: t}}]\n"
    )
    engine = Engine(tmp_path / "w", toolchain.folders, nowhere, program=PROGRAM)
    engine.init({"namespace": "none"})
    outcome = engine.up(check=False)
    assert not outcome.ok
    assert any("unreachable" in m and "127.0.0.1:1" in m for m in outcome.messages)
    assert "Traceback" not in outcome.output
