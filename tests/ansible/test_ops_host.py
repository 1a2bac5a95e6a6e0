"""The role `ops_host`: a virtual environment from a folder of wheels, without a package index."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import Play, PlayFor

STAND_IN = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "kitestring"
version = "{version}"
[tool.hatch.build.targets.wheel]
bypass-selection = true
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a package of that name that needs no other: a stand-in for this one."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        source = folder / version
        source.mkdir()
        (source / "pyproject.toml").write_text(STAND_IN.format(version=version))
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
             "--wheel-dir", str(folder), str(source)],
            check=True,
        )  # fmt: skip
    return folder


@pytest.fixture
def host(wheels: Path, play: PlayFor, tmp_path: Path) -> PlayFor:
    """Runs the role with a pin; says what it told, and fails where it ends otherwise."""
    book = tmp_path / "host.yml"
    said = "interpreter={{ ops_host_interpreter }} ready={{ ops_host_ready }}"
    tasks = [{"ansible.builtin.debug": {"msg": said}}]
    book.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "localhost",
                    "connection": "local",
                    "gather_facts": False,
                    "roles": ["kitestring.milvus.ops_host"],
                    "tasks": tasks,
                }
            ]
        )
    )

    def run(release: str, *flags: str, code: int = 0, **more: Any) -> Play:
        variables = {
            "ansible_python_interpreter": sys.executable,
            "ops_host_python": sys.executable,
            "ops_host_venv": str(tmp_path / "venv"),
            "ops_host_wheelhouse": str(wheels),
            "ops_host_release": release,
            "ops_host_extras": [],
            **more,
        }
        done = play(book, "none", *flags, variables=[json.dumps(variables)])
        assert done.code == code, done.output
        return done

    return run


def installed(venv: Path) -> str:
    """The version that the environment has."""
    program = "import importlib.metadata as m; print(m.version('kitestring'))"
    done = subprocess.run(
        [venv / "bin" / "python", "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_it_installs_once_and_upgrades_when_the_pin_moves(host: PlayFor, tmp_path: Path) -> None:
    assert host("1.0").changed == 1
    again = host("1.0")
    assert again.changed == 0
    assert f"interpreter={tmp_path}/venv/bin/python" in again.output
    assert host("2.0").changed == 1
    assert installed(tmp_path / "venv") == "2.0"
    assert "No matching distribution" in host("3.0", code=2).output


def test_check_mode_says_what_would_change_and_changes_nothing(
    host: PlayFor, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\n")
    specs = [{"src": str(spec), "dest": str(tmp_path / "there.yaml")}]
    foretold = host("1.0", "--check", ops_host_specs=specs)
    assert foretold.changed == 2
    assert "ready=False" in foretold.output  # nothing that follows could be told
    assert not venv.exists()
    assert not (tmp_path / "there.yaml").exists()

    assert "ready=True" in host("1.0").output
    again = host("1.0", "--check")
    assert again.changed == 0
    assert "ready=True" in again.output
    assert host("2.0", "--check").changed == 1
    assert installed(venv) == "1.0"


def test_pins_and_wheels_may_lie_in_a_folder_with_a_space(
    host: PlayFor, wheels: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "for air gaps"
    shutil.copytree(wheels, folder, ignore=shutil.ignore_patterns("[12].0"))
    (folder / "pins.txt").write_text("kitestring==1.0\n")
    pinned = {"ops_host_wheelhouse": str(folder), "ops_host_constraints": f"{folder}/pins.txt"}
    assert host("", **pinned).changed == 1
    assert installed(tmp_path / "venv") == "1.0"
    assert host("", "--check", **pinned).changed == 0
