"""The chart, and the helm that renders it where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.local.wheel import cache_dir

CHART = Path(__file__).parents[3] / "charts" / "kitestring"
KUBERNETES = "1.33.0"  # helm built from its module takes 1.20 for granted

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


class Refused(Exception):
    """What helm said on stderr."""


def find_helm() -> str | None:
    """helm on PATH, or the one that the end-to-end tests built."""
    built = sorted((cache_dir() / "toolchain").glob("helm-*/bin/helm"))
    return shutil.which("helm") or (str(built[-1]) if built else None)


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    """Runs helm; raises Refused with what it said where it fails."""
    program = find_helm()
    if program is None:
        pytest.skip("no helm on PATH or in the cache of the end-to-end tests")

    def run(*arguments: str) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise Refused(done.stderr + done.stdout)
        return done.stdout

    return run


@pytest.fixture
def render(helm: Callable[..., str], tmp_path: Path) -> Render:
    """The chart's objects for some values, by kind and name."""

    def made(values: dict[str, Any] | None = None, *flags: str, release: str = "kt") -> Objects:
        file = tmp_path / "values.json"  # PyYAML leaves `1e3` bare, which helm reads as a number
        file.write_text(json.dumps(values if values is not None else {}))
        text = helm(
            *("template", release, str(CHART), "-n", "kt-ns", "--kube-version", KUBERNETES),
            *("-f", str(file), *flags),
        )
        documents = [d for d in yaml.safe_load_all(text) if d]
        objects = {(d["kind"], d["metadata"]["name"]): d for d in documents}
        assert len(objects) == len(documents)
        return objects

    return made
