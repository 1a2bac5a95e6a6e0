"""The demo's stack on Kubernetes, with a stand-in for the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.demo.story import DemoFailed
from kitestring.demo.targets import Kubernetes
from kitestring.spec.load import load

ROOT = Path(__file__).parents[3]
ENGINE = """#!/bin/sh
echo "$@" >> {calls}
mkdir -p {backend}/.pulumi/stacks/kitestring && touch {backend}/.pulumi/stacks/kitestring/demo.json
echo "Resources: 7 unchanged"
"""


@pytest.fixture
def loaded(tmp_path):
    spec = tmp_path / "infra" / "clusters" / "dev.yaml"
    spec.parent.mkdir(parents=True)
    spec.write_text((ROOT / "infra" / "clusters" / "dev.yaml").read_text())
    (tmp_path / "infra" / "Pulumi.yaml").write_text("runtime: {virtualenv: ../.venv}\n")
    return load(spec, {})


@pytest.fixture
def calls(tmp_path, loaded, monkeypatch):
    path = tmp_path / "bin"
    path.mkdir()
    log, backend = tmp_path / "calls", loaded.state_dir.parent / "pulumi"
    (path / "pulumi").write_text(ENGINE.format(calls=log, backend=backend))
    (path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", str(path), prepend=":")
    return lambda: [c.split()[0] for c in log.read_text().splitlines()] if log.exists() else []


def test_a_stack_that_was_never_made_is_not_destroyed(tmp_path, loaded, calls):
    Kubernetes().stop(tmp_path, loaded)
    assert calls() == []


def test_a_stack_is_made_twice_and_destroyed(tmp_path, loaded, calls):
    assert "left 7 resources unchanged" in Kubernetes().start(tmp_path, loaded)
    Kubernetes().stop(tmp_path, loaded)
    assert calls() == ["stack", "config", "up", "up", "destroy"]
    assert not list((tmp_path / "infra").glob("Pulumi.*.yaml"))


def test_without_the_engine_nothing_is_left_half_done(tmp_path, loaded, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DemoFailed, match="`pulumi` is not on PATH"):
        Kubernetes().start(tmp_path, loaded)
    Kubernetes().stop(tmp_path, loaded)  # raises nothing that would hide the first error
