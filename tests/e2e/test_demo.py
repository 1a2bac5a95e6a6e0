"""`make demo TARGET=kubernetes` on the test node: the whole story, and nothing is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.node.node import ROOT, Node
from tests.e2e.pulumi_engine import Engine
from tests.e2e.specs import REGISTRY
from tests.e2e.toolchain.build import Toolchain

NAMESPACE = "kitestring-demo"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose state is its own."""
    if not Path(sys.executable).with_name("ansible-playbook").is_file():
        pytest.skip("ansible-playbook is not installed beside this Python")
    for entry in ROOT.iterdir():
        if entry.name not in (".git", ".kitestring", ".bench", "infra"):
            (tmp_path / entry.name).symlink_to(entry)
    skip = shutil.ignore_patterns("Pulumi.*.yaml", "__pycache__")
    shutil.copytree(ROOT / "infra", tmp_path / "infra", ignore=skip)
    return tmp_path


def test_the_story_is_told_on_a_cluster_that_pulumi_made(
    node: Node, toolchain: Toolchain, checkout: Path
) -> None:
    crontab = checkout / "stand-in" / "crontab"  # not the user's own
    crontab.parent.mkdir()
    crontab.write_text(
        f"#!/bin/sh\ncase $1 in -l) cat {checkout}/tab;; *) cp $1 {checkout}/tab;; esac\n"
    )
    crontab.chmod(0o755)
    (checkout / "tab").touch()
    engine = Engine(checkout / "engine", toolchain.folders, kubeconfig=node.kubeconfig)
    done = subprocess.run(
        [sys.executable, "-m", "kitestring", "demo", "--target", "kubernetes", "--root", checkout],
        cwd=checkout,
        env={
            **engine.env,
            "PATH": f"{crontab.parent}{os.pathsep}{engine.env['PATH']}",
            "KITESTRING__DEPLOYMENT__IMAGES__REGISTRY": REGISTRY,
        },
        capture_output=True,
        text=True,
        timeout=1800,
    )
    log = checkout / ".kitestring" / "dev" / "pulumi.log"
    assert done.returncode == 0, done.stderr + (log.read_text()[-4000:] if log.exists() else "")
    print(done.stderr)
    assert f"pulumi up made Milvus 2.3.5 in namespace {NAMESPACE}" in done.stderr
    assert "exit code 2: all 8 found" in done.stderr
    assert "rows.duplicate" in Path(done.stdout.strip()).read_text()
    left = node.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name")
    assert left.strip() == ""
    assert "kitestring" not in (checkout / "tab").read_text()
