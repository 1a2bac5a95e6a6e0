from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.cli import cli, run


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:  # bound, never listening
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@pytest.fixture
def spec(tmp_path: Path, closed_port: int) -> Path:
    file = tmp_path / "spec.yaml"
    file.write_text(
        "version: 1\ncluster: {name: x}\nstate: state\n"
        f"connection: {{uri: 'http://127.0.0.1:{closed_port}', timeout: 1s}}\n"
        "models: [{provider: hashing, name: h, version: '1', dimension: 64}]\n"
        "collections: [{name: docs, model: h@1, chunking: {strategy: fixed, size: 64},\n"
        "  indexes: [{field: embedding, type: FLAT, metric: COSINE}]}]\n"
    )
    return file


@pytest.mark.parametrize("verb", ["ingest", "search"])
def test_an_unreachable_server_is_a_clear_error_and_writes_nothing(
    verb: str, spec: Path, closed_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    (spec.parent / "a.txt").write_text("text")
    argument = str(spec.parent / "a.txt") if verb == "ingest" else "a question"
    code = run(cli, [verb, argument, "--collection", "docs", "--spec", str(spec)], "kitestring")
    out, err = capsys.readouterr()
    assert code == 1
    assert out == ""
    assert f"no Milvus answers at http://127.0.0.1:{closed_port}" in err
    assert not (spec.parent / "state").exists()


@pytest.mark.parametrize(
    "arguments", [["ingest", "--collection", "c"], ["ingest", "."], ["search"]]
)
def test_wrong_usage_is_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, arguments, "kitestring") == 64
    assert "hint:" in capsys.readouterr().err


def test_the_verbs_import_nothing_heavy() -> None:
    code = (
        "import sys, kitestring.cli.ingest, kitestring.cli.search; "
        "print(sorted({'pymilvus', 'sklearn', 'numpy', 'rich', 'pyarrow'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
