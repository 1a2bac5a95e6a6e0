"""The embedded stack with real servers. Every test looks for processes that were left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kitestring import local
from kitestring.cli import cli, run
from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.stack_state import STATE_FILE, write_stack_state
from kitestring.errors import LocalError, LocalStartFailed
from kitestring.local.config import choose_ports, is_free
from kitestring.local.process import servers_of
from kitestring.model.codec import from_plain, to_plain
from kitestring.model.collection import Field, Index, Schema

pytestmark = pytest.mark.server
pytest.importorskip("milvus", reason="the extra `local` is not installed")

SCHEMA = Schema(
    (Field("id", "VARCHAR", primary=True, max_length=16), Field("v", "FLOAT_VECTOR", dim=2))
)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data directory with an awkward name; whatever runs for it is stopped."""
    folder = tmp_path / "a b#c: 'd'"
    yield folder
    local.down(folder)
    assert servers_of(folder) == []


def test_up_twice_status_down_twice(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def kitestring(*arguments: str) -> tuple[int, str, str]:
        code = run(cli, ["local", *arguments, "--data", str(data)], "kitestring")
        return (code, *capsys.readouterr())

    assert kitestring("status") == (1, f"no server runs for {data}\n", "")

    code, uri, said = kitestring("up")
    assert code == 0
    assert "is up" in said
    state = local.status(data)
    assert state is not None
    assert uri.strip() == state.uri
    with MilvusServer(state.uri) as milvus:
        assert milvus.list_collections() == []

    code, again, said = kitestring("up")
    assert (code, again) == (0, uri)
    assert "runs already" in said
    assert local.status(data) == state
    assert servers_of(data) == [state.pid]

    code, text, _ = kitestring("status", "-o", "json")
    facts = json.loads(text)
    assert code == 0
    assert (facts["running"], facts["answers"], facts["port"]) == (True, True, state.port)

    code, _, said = kitestring("up", "--port", str(state.port + 1))
    assert code == 1
    assert f"runs on port {state.port}" in said

    code, _, said = kitestring("down")
    assert code == 0
    assert "stopped" in said
    assert not psutil.pid_exists(state.pid)
    assert is_free(state.port)
    assert is_free(state.metrics_port)
    assert not (data / STATE_FILE).exists()

    code, _, said = kitestring("down")
    assert code == 0
    assert "no server runs" in said


def test_a_killed_server_is_noticed_and_started_again_with_its_rows(data: Path) -> None:
    first = local.up(data)
    with MilvusServer(first.uri, timeout=20) as milvus:
        milvus.create_collection("kept", SCHEMA)
        milvus.create_index("kept", Index("v", "v", "FLAT", "L2"))
        milvus.load("kept")
        milvus.upsert("kept", [{"id": str(n), "v": [float(n), 0.0]} for n in range(100)])
        assert milvus.count("kept") == 100
    server = psutil.Process(first.pid)
    server.kill()
    server.wait(10)
    assert local.status(data) is None
    second = local.up(data)
    assert second.pid != first.pid
    with MilvusServer(second.uri, timeout=20) as milvus:
        milvus.load("kept")
        assert milvus.count("kept") == 100


def test_two_servers_side_by_side(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with local.running(data) as one, local.running(other, remove=True) as two:
        ports = {one.port, one.metrics_port, two.port, two.metrics_port}
        assert len(ports) == 4
        with MilvusServer(one.uri) as first, MilvusServer(two.uri) as second:
            first.create_collection("mine", SCHEMA)
            assert first.list_collections() == ["mine"]
            assert second.list_collections() == []
        with pytest.raises(LocalError, match="runs already"), local.running(data):
            pass
        assert local.status(data) == one
    assert not other.exists()
    assert servers_of(data) == []
    assert not psutil.pid_exists(two.pid)


def test_a_state_file_of_another_process_is_not_believed(data: Path) -> None:
    # a process id that somebody else has by now
    data.mkdir()
    plain = {
        "pid": os.getpid(),
        "started": 1.0,
        "port": 1,
        "metrics_port": 2,
        "version": "2.3.5",
        "root_path": str(data),
    }
    from kitestring.clients.stack_state import StackState

    stale = from_plain(StackState, plain)
    write_stack_state(data, stale)
    assert local.status(data) is None
    assert local.down(data) is False
    write_stack_state(data, stale)
    state = local.up(data)
    assert state.pid != os.getpid()
    assert to_plain(state) != plain


def test_a_server_whose_state_file_is_lost_is_found(data: Path) -> None:
    state = local.up(data)
    (data / STATE_FILE).unlink()
    assert local.status(data) is None
    assert local.down(data) is True
    assert not psutil.pid_exists(state.pid)


def test_a_port_that_is_taken_is_told_before_anything_starts(data: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port} is taken") as caught:
            local.up(data, port=port)
    assert not isinstance(caught.value, LocalStartFailed)
    assert servers_of(data) == []


def test_the_port_asked_for_is_the_port_used(data: Path) -> None:
    port = choose_ports(["p"], {})["p"]
    with local.running(data, port=port) as state:
        assert state.port == port


def test_a_failed_start_carries_the_last_words_and_leaves_no_process(data: Path) -> None:
    # a file where etcd wants its directory
    (data / "data").mkdir(parents=True)
    (data / "data" / "etcd.data").write_text("not a directory")
    with pytest.raises(LocalStartFailed, match="etcd") as caught:
        local.up(data)
    assert "last words" in caught.value.message
    assert str(data / "logs") in caught.value.hint
    assert servers_of(data) == []
    assert local.status(data) is None


def test_a_deadline_that_is_missed_leaves_no_process(data: Path) -> None:
    with pytest.raises(LocalStartFailed, match="did not answer in time"):
        local.up(data, timeout=0.3)
    assert servers_of(data) == []


def test_a_setting_that_does_not_exist_starts_nothing(data: Path) -> None:
    with pytest.raises(LocalError, match=r"`proxy\.prot` is no setting"):
        local.up(data, extra_config={"proxy.prot": "1"})
    assert servers_of(data) == []


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="file"):
        local.up(tmp_path / "file")


UP = """
import sys
from pathlib import Path
from kitestring import local
from kitestring.local import process
start = process.start
def told(*a, **k):
    child = start(*a, **k)
    print(child.pid, flush=True)
    return child
process.start = told
{body}
"""


@pytest.fixture
def starter() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Runs code in another process, with `start` telling the server's id on stdout."""
    made: list[subprocess.Popen[str]] = []

    def run_it(body: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", UP.format(body=body)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        made.append(process)
        return process

    yield run_it
    for process in made:
        process.kill()
        process.communicate()


def _gone(pid: int) -> None:
    try:
        psutil.Process(pid).wait(20)
    except psutil.NoSuchProcess:
        return


def test_ctrl_c_while_it_starts_leaves_no_process(
    data: Path, starter: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = starter(f"local.up(Path({str(data)!r}))")
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    process.wait(20)
    _gone(pid)
    assert servers_of(data) == []
    assert not (data / STATE_FILE).exists()


def test_a_tied_server_ends_with_its_process_even_when_that_is_killed(
    data: Path, starter: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = starter(
        f"with local.running(Path({str(data)!r})):\n    print('up', flush=True)\n    input()"
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert process.stdout.readline() == "up\n"
    process.kill()
    _gone(pid)
    assert servers_of(data) == []


def test_two_ups_at_once_start_one_server(
    data: Path, starter: Callable[[str], subprocess.Popen[str]]
) -> None:
    body = f"print('on', local.up(Path({str(data)!r})).port)"
    outputs = [process.communicate(timeout=120)[0] for process in (starter(body), starter(body))]
    lines = [line for output in outputs for line in output.splitlines()]
    assert len([line for line in lines if line.isdigit()]) == 1
    state = local.status(data)
    assert state is not None
    assert [line for line in lines if line.startswith("on")] == [f"on {state.port}"] * 2
