"""The Dockerfile against what is in the checkout; that its steps run, `tests/e2e/test_chart.py`."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from kitestring.manifests.incluster import HOME
from kitestring.manifests.jobs import USER
from tests.dockerfile import ignored, stages

ROOT = Path(__file__).parents[3]
BUILD, FINAL = stages((ROOT / "Dockerfile").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name: str) -> dict[str, set[str]]:
    """Requirement `name==version` -> its hashes, of a file of pip."""
    found: dict[str, set[str]] = {}
    current = ""
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        match = re.match(r"([A-Za-z0-9_.-]+==\S+)", line)
        if match:
            current = match.group(1)
            found[current] = set()
        found.setdefault(current, set()).update(re.findall(r"--hash=(sha256:[0-9a-f]{64})", line))
    return found


def test_the_base_is_pinned_and_can_be_another_one() -> None:
    assert BUILD.base == FINAL.base
    tag = BUILD.base.rpartition(":")[2]
    assert re.match(r"3\.\d+\.\d+-", tag), "a whole version of Python"
    assert "${PYTHON_IMAGE}" in (ROOT / "Dockerfile").read_text()


def test_what_is_copied_is_there_and_not_ignored() -> None:
    sources = [s for rest in BUILD.of("COPY") for s in shlex.split(rest)[:-1]]
    assert "src" in sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not ignored(ROOT / source, ROOT), source
    assert not ignored(ROOT / "src" / "kitestring" / "cli" / "__init__.py", ROOT)


def test_nothing_else_reaches_the_builder() -> None:
    for name in (".git", ".venv", ".kitestring", "tests", "infra", "requirements/lock.txt"):
        assert ignored(ROOT / name, ROOT), name
    assert ignored(ROOT / "src" / "kitestring" / "__pycache__", ROOT)


def test_everything_that_is_installed_is_checked_by_its_hash() -> None:
    installs = [c for run in BUILD.of("RUN") for c in run.split("&&") if "pip install" in c]
    assert installs
    for command in installs:
        # what comes from no index was built two lines above
        assert "--require-hashes" in command or "--no-index" in command
        for file in re.findall(r"-r (\S+)", command):
            assert all(pins(Path(file).name).values()), f"{file} has a pin without a hash"


def test_the_images_pins_are_those_of_the_lock() -> None:
    lock = pins("lock.txt")
    for name in ("image.txt", "image-build.txt"):
        for pin, hashes in pins(name).items():
            assert hashes == lock.get(pin), f"{pin}: run `make lock`"


def test_the_extras_that_drills_need_are_installed() -> None:
    (extras,) = re.findall(r'"kitestring\[([a-z,-]+)\]"', " ".join(BUILD.of("RUN")))
    assert "local" in extras.split(","), "a drill restores to a second local server"
    named = {pin.partition("==")[0].lower().replace("_", "-") for pin in pins("image.txt")}
    wanted = list(PROJECT["dependencies"])
    for extra in extras.split(","):
        wanted += PROJECT["optional-dependencies"][extra]
    assert {Requirement(w).name.lower() for w in wanted} <= named


def test_the_entry_point_is_there() -> None:
    assert FINAL.of("ENTRYPOINT") == ['["kitestring"]']
    module, _, function = PROJECT["scripts"]["kitestring"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert FINAL.env["PATH"].startswith("/opt/kitestring/bin:")
    assert "--from=build /opt/kitestring /opt/kitestring" in FINAL.of("COPY")


def test_it_runs_as_the_user_of_the_jobs_and_writes_only_where_they_mount() -> None:
    assert FINAL.of("USER") == [f"{USER}:{USER}"]
    assert FINAL.of("WORKDIR") == [HOME]
    assert FINAL.of("STOPSIGNAL") == ["SIGINT"]
    # unpacked while building; at run time nothing can be written there
    assert FINAL.env["XDG_CACHE_HOME"] == "/opt/kitestring/cache"
    assert any("XDG_CACHE_HOME=/opt/kitestring/cache" in run for run in BUILD.of("RUN"))


def test_no_secret_is_built_in() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"(?i)(password|token|secret)\s*=", text)
    for name in ("title", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{name}=" in text
