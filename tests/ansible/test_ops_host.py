"""The role `ops_host`: a virtual environment from a folder of wheels, without a package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.ansible.conftest import PlayFor

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


def test_it_installs_once_and_upgrades_when_the_pin_moves(
    wheels: Path, play: PlayFor, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    book = tmp_path / "host.yml"
    tasks = [{"ansible.builtin.debug": {"msg": "interpreter={{ ops_host_interpreter }}"}}]
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

    def run(release: str, *flags: str, code: int = 0, **more: str) -> str:
        variables = {
            "ansible_python_interpreter": sys.executable,
            "ops_host_python": sys.executable,
            "ops_host_venv": str(venv),
            "ops_host_wheelhouse": str(wheels),
            "ops_host_release": release,
            **more,
        }
        pairs = [f"{key}={value}" for key, value in variables.items()]
        done = play(book, "none", *flags, variables=[*pairs, '{"ops_host_extras": []}'])
        assert done.code == code, done.output
        return f"changed={done.changed} {done.output}"

    assert run("1.0").startswith("changed=1 ")
    again = run("1.0")
    assert again.startswith("changed=0 ")
    assert f"interpreter={venv}/bin/python" in again
    assert run("2.0").startswith("changed=1 ")
    listed = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True
    )
    assert "kitestring 2.0" in " ".join(listed.stdout.split())
    assert "No matching distribution" in run("3.0", code=2)
