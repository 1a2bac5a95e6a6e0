"""Objects of a backup are read as they were written, large ones in memory that is used again."""

from __future__ import annotations

import hashlib
import os

import pyarrow as pa
import pytest

from kitestring.backup.buffers import Buffers
from kitestring.backup.pool import PoolReader
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import BackupDamaged
from kitestring.model.backup import StoredObject

SIZE = 5 * 1024 * 1024
LARGE = [bytes([n]) * SIZE for n in range(3)]


def test_memory_is_used_again_when_nothing_refers_to_it() -> None:
    buffers = Buffers()
    view = buffers.take(SIZE)
    view[:3] = b"abc"
    kept = pa.py_buffer(view[1:3])
    del view
    other = buffers.take(SIZE)
    other[:3] = b"xyz"
    assert kept.to_pybytes() == b"bc"
    del kept
    again = buffers.take(SIZE - 1)
    assert len(again) == SIZE - 1
    assert bytes(again[:3]) == b"abc"  # the region of the first, as it was left


def test_a_forked_process_does_not_write_into_its_parents_memory() -> None:
    view = Buffers().take(SIZE)
    view[:3] = b"abc"
    child = os.fork()
    if not child:
        view[:3] = b"xyz"
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(view[:3]) == b"abc"


def test_large_objects_are_read_whole_one_after_the_other() -> None:
    store, objects = MemoryStore(), []
    for n, data in enumerate(LARGE):
        store.put(f"pool/{n}", data)
        objects.append(StoredObject(f"pool/{n}", f"{n}", SIZE, hashlib.sha256(data).hexdigest()))
    reader = PoolReader(store, objects)
    first = reader.get("0")
    assert [bytes(reader.get(f"{n}")) for n in (1, 2, 1)] == [LARGE[1], LARGE[2], LARGE[1]]
    assert bytes(first) == LARGE[0]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (LARGE[0][:-1], f"has {SIZE - 1} bytes, not {SIZE}"),
        (LARGE[0] + b"x", f"has {SIZE + 1} bytes, not {SIZE}"),
        (LARGE[0][:-1] + b"\1", "is not what was backed up"),
    ],
)
def test_a_large_object_that_was_changed_is_not_given(changed: bytes, why: str) -> None:
    store = MemoryStore()
    store.put("pool/0", changed)
    wanted = StoredObject("pool/0", "0", SIZE, hashlib.sha256(LARGE[0]).hexdigest())
    with pytest.raises(BackupDamaged, match=why):
        PoolReader(store, [wanted]).get("0")
