"""What a user gets wrong: a clear message, the right exit code, nothing half-done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from kitestring.clients.milvus.client import MilvusServer
from kitestring.local.config import is_free
from kitestring.spec.loaded import LoadedSpec
from tests.verbs import called

pytestmark = pytest.mark.server
SpecFor = Callable[..., LoadedSpec]
Unique = Callable[[str], str]

VERBS_THAT_CONNECT = [
    ["status"],
    ["drift"],
    ["embedding", "check"],
    ["reconcile"],
    ["compact"],
    ["backup", "create"],
    ["search", "what", "--collection", "docs"],
    ["ingest", "corpus", "--collection", "docs"],
]


@pytest.fixture(scope="module")
def nobody() -> int:
    """A port at which nothing listens."""
    return next(port for port in range(18000, 19000) if is_free(port))


def elsewhere(loaded: LoadedSpec, uri: str, token_file: Path | None = None) -> Path:
    """The same spec for another server."""
    document = yaml.safe_load(loaded.file.read_text())
    document["connection"] = {"uri": uri, "timeout": "3s"}
    if token_file is not None:
        document["connection"]["token"] = {"file": str(token_file)}
    document["storage"] = {"type": "local", "path": "segments"}
    file = loaded.file.with_name("elsewhere.yaml")
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.mark.parametrize("verb", VERBS_THAT_CONNECT, ids=lambda v: " ".join(v[:2]))
def test_a_server_that_does_not_answer(
    verb: list[str], spec_for: SpecFor, nobody: int, tmp_path: Path
) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("A kite flies.")
    spec = elsewhere(spec_for({"name": "docs"}), f"http://127.0.0.1:{nobody}")

    done = called(*verb, "--spec", str(spec), cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: no Milvus answers at http://127.0.0.1:{nobody}" in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(spec.parent.glob("backups/**/manifest.json"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, stack_data: Path) -> Iterator[str]:
    """A server that wants a password."""
    from kitestring.local import running

    assert stack_data
    data = tmp_path_factory.mktemp("guarded")
    with running(data, timeout=120, authorization=True, remove=True) as state:
        yield state.uri


@pytest.mark.parametrize("verb", [["drift"], ["backup", "create"]], ids=lambda v: v[0])
def test_a_wrong_token(verb: list[str], spec_for: SpecFor, guarded: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("root:wrong")
    spec = elsewhere(spec_for({"name": "docs"}), guarded, token)

    done = called(*verb, "--spec", str(spec), cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "connection.token" in done.stderr
    assert "root:wrong" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_right_token(spec_for: SpecFor, guarded: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("root:Milvus\n")
    spec = elsewhere(spec_for({"name": "docs"}), guarded, token)

    done = called("drift", "--spec", str(spec), "--only", "schema", cwd=tmp_path)

    assert done.returncode == 2, done.stderr
    assert "schema.missing-collection" in done.stdout


def test_a_secret_that_is_not_there(spec_for: SpecFor, guarded: str, tmp_path: Path) -> None:
    spec = elsewhere(spec_for({"name": "docs"}), guarded, tmp_path / "no-such-file")

    done = called("drift", "--spec", str(spec), cwd=tmp_path)

    assert done.returncode == 1
    assert "no-such-file" in done.stderr


def test_an_embedder_of_another_dimension_than_the_collection(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, tmp_path: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name})
    (tmp_path / "a.txt").write_text("A kite flies.")
    assert (
        called(
            *("ingest", "a.txt", "--collection", name, "--spec", str(loaded.file)), cwd=tmp_path
        ).returncode
        == 0
    )
    document = yaml.safe_load(loaded.file.read_text())
    document["models"][0]["dimension"] = 32
    loaded.file.write_text(yaml.safe_dump(document))
    (tmp_path / "b.txt").write_text("Another one does not.")

    done = called(
        *("ingest", "b.txt", "--collection", name, "--spec", str(loaded.file)), cwd=tmp_path
    )

    assert done.returncode == 1
    assert "64" in done.stderr
    assert "32" in done.stderr
    assert "Traceback" not in done.stderr
    assert milvus.count(name) == 1


def test_a_broken_pdf_is_named_and_the_rest_is_written(
    spec_for: SpecFor, milvus: MilvusServer, unique: Unique, tmp_path: Path
) -> None:
    name = unique("c")
    loaded = spec_for({"name": name})
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "fine.txt").write_text("A kite flies.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\n1 0 obj <<")

    done = called(
        *("ingest", str(folder), "--collection", name, "--spec", str(loaded.file)), cwd=tmp_path
    )

    assert done.returncode == 1
    assert "broken.pdf" in done.stderr
    assert "Traceback" not in done.stderr
    assert milvus.count(name) == 1
