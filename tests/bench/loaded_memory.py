"""What a loaded collection takes of a server's memory: resident set before and after the load.

Each collection is measured on a server that was started afresh: memory that an earlier load or
the building of an index gave back to the allocator would hide what a load takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.stack_state import StackState
from kitestring.local import running
from kitestring.model.collection import Field, Index, Schema

BATCH = 5000
_STILL = 2 * 2**20  # bytes between two looks that count as the same
NAME = "measured"


@dataclass(frozen=True)
class Case:
    """A collection to be loaded. `text` is the length of a text that each row has, in bytes."""

    rows: int
    dim: int
    index: str
    params: Mapping[str, int] = field(default_factory=dict)
    metric: str = "L2"
    text: int = 0

    @property
    def name(self) -> str:
        params = "".join(f" {k}={v}" for k, v in self.params.items())
        text = f" text={self.text}" if self.text else ""
        return f"{self.index}{params} {self.rows}x{self.dim}{text}"

    @property
    def schema(self) -> Schema:
        fields = [
            Field("id", "VARCHAR", primary=True, max_length=64),
            Field("embedding", "FLOAT_VECTOR", dim=self.dim),
        ]
        if self.text:
            fields.append(Field("text", "VARCHAR", max_length=65535))
        return Schema(tuple(fields))


@dataclass(frozen=True)
class Loaded:
    """Bytes of the server's process: before the load, after it, and at most on the way."""

    case: Case
    before: int
    after: int
    peak: int
    segments: int

    @property
    def took(self) -> int:
        return self.after - self.before


def measure(case: Case, data: Path, timeout: float = 900) -> Loaded:
    """Writes the collection, builds its index, starts the server again, and loads.

    Raises:
        KitestringError: the server does not start or refuses.
    """
    with running(data) as state, MilvusServer(state.uri, timeout=60) as server:
        if server.has_collection(NAME):
            server.drop_collection(NAME)
        server.create_collection(NAME, case.schema)
        for rows in _batches(case):
            server.insert(NAME, rows)
        server.flush(NAME)
        server.create_index(
            NAME,
            Index("embedding", "embedding", case.index, case.metric, _text(case.params)),
        )
        _wait_indexed(server, timeout)
        segments = len(server.segments(NAME))
    with running(data) as state, MilvusServer(state.uri, timeout=60) as server:
        before = _settled(state)
        server.load(NAME)
        after = _settled(state)
        peak = _status(state, "VmHWM")
        server.drop_collection(NAME)
    return Loaded(case, before, after, peak, segments)


def _batches(case: Case) -> Iterator[Sequence[Mapping[str, Any]]]:
    random = np.random.default_rng(7)
    words = np.array([f"{n:07x} " for n in range(4096)])
    for start in range(0, case.rows, BATCH):
        count = min(BATCH, case.rows - start)
        vectors = random.standard_normal((count, case.dim), dtype=np.float32)
        rows: list[dict[str, Any]] = [
            {"id": f"{start + n:064x}", "embedding": vectors[n]} for n in range(count)
        ]
        if case.text:
            picked = random.integers(0, len(words), (count, case.text // 8))
            for row, numbers in zip(rows, picked, strict=True):
                row["text"] = "".join(words[numbers])
        yield rows


def _wait_indexed(server: MilvusServer, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        indexes = server.describe(NAME).indexes
        if indexes and all(i.state == "Finished" and not i.pending_rows for i in indexes):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the index is not built after {timeout:.0f} s")
        time.sleep(1)


def _settled(state: StackState, timeout: float = 60) -> int:
    """The resident set once it has stayed the same for 3 s: a server still works after `load`."""
    deadline = time.monotonic() + timeout
    last, still = _status(state, "VmRSS"), 0
    while still < 3 and time.monotonic() < deadline:
        time.sleep(1)
        now = _status(state, "VmRSS")
        still = still + 1 if abs(now - last) < _STILL else 0
        last = now
    return last


def _status(state: StackState, key: str) -> int:
    for line in Path(f"/proc/{state.pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"no {key} of process {state.pid}")


def _text(params: Mapping[str, int]) -> dict[str, str]:
    return {k: str(v) for k, v in params.items()}
