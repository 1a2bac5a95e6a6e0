"""One real Milvus server for the whole session (one for each worker of pytest-xdist)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.clients.stack_state import StackState
    from kitestring.spec.loaded import LoadedSpec

SpecFor = Callable[..., "LoadedSpec"]

MODEL: Mapping[str, Any] = {
    "provider": "hashing",
    "name": "hashing-word",
    "version": "1",
    "dimension": 64,
}
INDEX: Mapping[str, Any] = {
    "field": "embedding",
    "type": "HNSW",
    "metric": "COSINE",
    "params": {"M": 16, "efConstruction": 100},
}

SETTINGS: Mapping[str, str] = {
    # the server compacts on its own, at its own time: a test that counts segments can't share that
    "dataCoord.compaction.enableAutoCompaction": "false",
    # ms that a flush waits for writes that may still be on their way (2000)
    "dataCoord.segment.assignmentExpiration": "500",
    # ms that a strong read waits for, twice at most (200): tests read strongly all the time
    "proxy.timeTickInterval": "50",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and "stack" in item.fixturenames:  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def stack_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the session's server."""
    return tmp_path_factory.mktemp("milvus")


@pytest.fixture(scope="session")
def stack(stack_data: Path) -> Iterator[StackState]:
    """A running server; it ends with the session, also when the session is killed."""
    from kitestring.errors import LocalError, LocalStartFailed
    from kitestring.local import running
    from kitestring.local.wheel import find_wheel

    try:
        find_wheel()
    except LocalStartFailed:
        raise
    except LocalError as error:
        pytest.skip(error.message)
    with running(stack_data, timeout=120, remove=True, extra_config=SETTINGS) as state:
        yield state


@pytest.fixture(scope="session")
def milvus(stack: StackState) -> Iterator[MilvusServer]:
    """A connection to the session's server."""
    from kitestring.clients.milvus.client import MilvusServer

    with MilvusServer(stack.uri, timeout=20) as server:
        yield server


@pytest.fixture
def spec_file(tmp_path: Path, stack: StackState, stack_data: Path) -> Path:
    """A spec of the session's server, without collections; backups go to a directory."""
    import yaml

    assert stack.port
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"embedded": str(stack_data), "timeout": "20s"},
        "state": "state",
        "storage": {"type": "embedded"},
        "backup": {"store": {"type": "local", "path": "backups"}, "method": "physical"},
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def spec_for(
    tmp_path: Path, stack: StackState, stack_data: Path, milvus: MilvusServer
) -> Iterator[SpecFor]:
    """Writes a spec for the session's server and loads it; drops its collections afterwards.

    `spec_for({"name": unique()}, …, backup=True, objectives={…})`: each mapping is a collection
    of the spec, completed with a 64-dimensional hashing model, sentence chunking and an HNSW
    index; keywords are top-level keys of the spec.
    """
    import yaml

    from kitestring.spec.load import load

    made: list[LoadedSpec] = []

    def write(*collections: Mapping[str, Any], **top: Any) -> LoadedSpec:
        assert stack.port
        folder = tmp_path / f"spec{len(made)}"
        folder.mkdir()
        document: dict[str, Any] = {
            "version": 1,
            "cluster": {"name": "test", "environment": "test"},
            "connection": {"embedded": str(stack_data), "timeout": "20s"},
            "state": "state",
            "storage": {"type": "embedded"},
            "models": [dict(MODEL)],
            "collections": [
                {
                    "model": f"{MODEL['name']}@{MODEL['version']}",
                    "chunking": {"strategy": "sentence", "size": 200, "overlap": 20, "version": 1},
                    "indexes": [dict(INDEX)],
                    **collection,
                }
                for collection in collections
            ],
            "backup": {"store": {"type": "local", "path": "backups"}},
            "objectives": {"rpo": "24h", "rto": "10m"},
            **top,
        }
        file = folder / "cluster.yaml"
        with file.open("w") as out:
            yaml.safe_dump({k: v for k, v in document.items() if v is not None}, out)
        made.append(load(file))
        return made[-1]

    yield write
    for loaded in made:
        for collection in loaded.spec.collections:
            for alias in collection.aliases:
                if milvus.alias_owner(alias) == collection.name:
                    milvus.drop_alias(alias)
            if milvus.has_collection(collection.name):
                milvus.drop_collection(collection.name)
