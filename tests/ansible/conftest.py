"""Runs the real ansible-playbook, against the real server of the integration tests."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
DEADLINE = 600.0  # seconds that one play may take, on a machine that has other work


def _integration() -> Any:
    path = ROOT / "tests" / "integration" / "conftest.py"
    spec = importlib.util.spec_from_file_location("kitestring_integration_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_fixtures = _integration()
stack_data, stack = _fixtures.stack_data, _fixtures.stack
milvus, spec_for = _fixtures.milvus, _fixtures.spec_for
MODEL, INDEX, SETTINGS = _fixtures.MODEL, _fixtures.INDEX, _fixtures.SETTINGS
ROOT_TOKEN = "root:Milvus"
DIMENSION: int = MODEL["dimension"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ansible)
            if {"stack", "guarded"} & set(item.fixturenames):  # type: ignore[attr-defined]
                item.add_marker(pytest.mark.server)


@dataclass(frozen=True)
class Play:
    """How a run of ansible-playbook ended."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """Tasks that changed something, on all hosts."""
        return sum(int(n) for n in re.findall(r"^\S+ +: .*changed=(\d+)", self.output, re.M))

    def changed_tasks(self) -> list[str]:
        """The names of the tasks that changed something."""
        blocks = re.split(r"^TASK \[", self.output, flags=re.M)[1:]
        return [
            b.split("]")[0].split(" : ")[-1] for b in blocks if re.search(r"^changed: ", b, re.M)
        ]

    def failed_task(self) -> str:
        blocks = re.split(r"^TASK \[", self.output, flags=re.M)[1:]
        return next(
            (b.split("]")[0].split(" : ")[-1] for b in blocks if "FAILED!" in b or "[ERROR]" in b),
            "",
        )

    def tasks(self) -> int:
        return self.output.count("\nTASK [")


PlayFor = Callable[..., Play]


def lines(table: Path | str) -> list[str]:
    """The entries of a crontab, given as a file or as text."""
    text = table.read_text() if isinstance(table, Path) else table
    return [line for line in text.splitlines() if not line.startswith("#")]


STAND_IN = """\
#!/bin/sh
case "$1" in
  -l) [ -f "{table}" ] && exec cat "{table}"; echo "no crontab for $(id -un)" >&2; exit 1;;
  -r) exec rm -f "{table}";;
  *) exec cp "$1" "{table}";;
esac
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The file in which the stand-in for `crontab` keeps its table."""
    return tmp_path / "crontab.txt"


@pytest.fixture
def stand_in(tmp_path: Path, table: Path) -> Path:
    """A folder with a `crontab` that is not the user's own."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    (folder / "crontab").write_text(STAND_IN.format(table=table))
    (folder / "crontab").chmod(0o755)
    return folder


@pytest.fixture
def play(tmp_path: Path, stand_in: Path) -> Iterator[PlayFor]:
    """`play("playbooks/day2.yml", spec_file, "--check", env={…})`; no run outlives the test, or
    writes into the user's crontab."""
    if not PLAYBOOK.exists():
        pytest.skip("ansible-playbook is not installed (the `ansible` extra)")
    running: list[subprocess.Popen[str]] = []

    def run(
        playbook: str | Path,
        spec: Path | str | None,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        variables: Sequence[str] = (),
    ) -> Play:
        named = [f"kitestring_spec={spec}"] if spec else []
        extra = [a for v in (*named, *variables) for a in ("-e", v)]
        process = subprocess.Popen(
            [str(PLAYBOOK), str(playbook), *extra, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "ansible"),
                "ANSIBLE_NOCOLOR": "1",
                "PATH": f"{stand_in}{os.pathsep}{os.environ['PATH']}",
                **(env or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        output, _ = process.communicate(timeout=DEADLINE)
        return Play(process.returncode, output)

    yield run
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A spec of a server that asks for a password."""
    from kitestring.errors import LocalError
    from kitestring.local import running
    from kitestring.local.wheel import find_wheel

    try:
        find_wheel()
    except LocalError as error:
        pytest.skip(error.message)
    folder = tmp_path_factory.mktemp("guarded")
    with running(
        folder / "milvus", timeout=120, authorization=True, remove=True, extra_config=SETTINGS
    ) as state:
        spec = folder / "cluster.yaml"
        spec.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "cluster": {"name": "guarded"},
                    "connection": {"uri": state.uri, "token": {"env": "KS_TOKEN"}},
                    "state": "state",
                }
            )
        )
        yield spec


@pytest.fixture
def rows() -> Callable[..., list[dict[str, Any]]]:
    """Rows of the row contract: `rows(50, start=0, model="hashing-word@1")`."""

    def make(count: int, *, start: int = 0, model: str = "hashing-word@1") -> list[dict[str, Any]]:
        return [
            {
                "id": f"{n:08d}",
                "embedding": [float((n + d) % 7) + 1.0 for d in range(DIMENSION)],
                "tenant_id": "",
                "doc_id": f"d{n // 10}",
                "chunk_index": n % 10,
                "text": f"text {n}",
                "content_hash": f"{n:064d}",
                "embedding_model": model,
                "chunker": "sentence/200/20/1",
                "last_embedded_at": 1_700_000_000_000,
            }
            for n in range(start, start + count)
        ]

    return make


@pytest.fixture
def filled(milvus: Any, rows: Callable[..., list[dict[str, Any]]]) -> Callable[..., None]:
    """Creates the first collection of a spec as the spec wants it, with rows, without aliases."""

    def fill(loaded: Any, count: int = 60) -> None:
        from kitestring.spec.schema import collection_schema, wanted_index

        collection = loaded.spec.collections[0]
        milvus.create_collection(collection.name, collection_schema(loaded.spec, collection))
        milvus.create_index(collection.name, wanted_index(collection.indexes[0]), wait=True)
        milvus.load(collection.name)
        milvus.upsert(collection.name, rows(count))
        milvus.flush(collection.name)

    return fill
