"""`kitestring ingest --watch` as a process, on a real server that goes away for a while."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitestring.clients.milvus.client import MilvusServer
from kitestring.ingest.ledger import open_ledger
from kitestring.spec.loaded import LoadedSpec
from tests.integration.gate import gate

if TYPE_CHECKING:
    from kitestring.clients.stack_state import StackState

pytestmark = pytest.mark.server


class Lines:
    """The lines of a stream as they come."""

    def __init__(self, stream: object) -> None:
        self._queue: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            self._queue.put(line.rstrip())

    def until(self, what: str) -> str:
        while True:
            try:
                line = self._queue.get(timeout=60)
            except queue.Empty:
                raise AssertionError(f"no line with `{what}`: {self.seen}") from None
            self.seen.append(line)
            if what in line:
                return line


def test_a_folder_is_followed_until_the_watch_is_stopped(
    spec_for: Callable[..., LoadedSpec],
    milvus: MilvusServer,
    stack: StackState,
    unique: Callable[[str], str],
    tmp_path: Path,
) -> None:
    def documents() -> set[str]:
        found = {r["doc_id"] for b in milvus.scan(name, ["doc_id"]) for r in b.to_pylist()}
        with open_ledger(loaded, create=False) as ledger:
            assert {row.doc_id for row in ledger.rows(name)} == found
        return found

    name = unique("c")
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.txt").write_text("The first one.")
    with gate(stack.port) as way:
        uri = f"http://127.0.0.1:{way.port}"
        loaded = spec_for(
            {"name": name}, connection={"uri": uri, "timeout": "2s"}, storage=None, backup=None
        )
        command = [sys.executable, "-m", "kitestring", "ingest", str(folder), "--collection", name]
        process = subprocess.Popen(
            [*command, "--spec", str(loaded.file), "--watch", "--every", "100ms"],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            lines = Lines(process.stderr)
            lines.until(f"{name}: 1 written, 0 removed, 0 unchanged, rows: 1 written, 0 deleted")
            (folder / "b.txt").write_text("A second one.")
            lines.until("1 written, 0 removed, 1 unchanged")
            assert documents() == {"a.txt", "b.txt"}
            way.shut()
            (folder / "a.txt").unlink()
            (folder / "c.txt").write_text("A third one.")
            lines.until("no pass: no Milvus answers at")
            way.open()
            lines.until("1 written, 1 removed, 1 unchanged")
            assert documents() == {"b.txt", "c.txt"}
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 130
            lines.until("error: interrupted")
        finally:
            process.kill()
            process.wait()
    assert not any("Traceback" in line for line in lines.seen)
    with open_ledger(loaded) as ledger, ledger.run(name):
        pass  # its lease is given back
