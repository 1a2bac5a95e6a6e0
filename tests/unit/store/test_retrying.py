"""Which failures of a store are tried again, and for how long."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest

from kitestring.clients.store.memory import MemoryStore
from kitestring.clients.store.retrying import Patience, RetryingStore, sturdy
from kitestring.errors import ObjectMissing, StoreError, StoreFull, StoreUnreachable

QUICK = Patience(attempts=4, deadline=5.0, first=0.001, longest=0.002, jitter=0.001)


class Failing(MemoryStore):
    """Raises the next of `failures` ahead of each access, until there are no more."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures: Iterator[Exception] = iter(failures)
        self.calls = 0
        self.before = self.fail

    def fail(self, operation: str, key: str) -> None:
        self.calls += 1
        for failure in self.failures:
            raise failure


def transient(text: str = "SlowDown") -> StoreUnreachable:
    return StoreUnreachable(text, transient=True)


OPERATIONS: list[Callable[[RetryingStore], object]] = [
    lambda s: s.put("k", b"v"),
    lambda s: s.put("k", BytesIO(b"v")),
    lambda s: s.put_new("k", b"v"),
    lambda s: s.head("k"),
    lambda s: list(s.list("")),
    lambda s: s.delete("k"),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_moment_s_failure_is_not_seen(operation: Callable[[RetryingStore], object]) -> None:
    store = RetryingStore(Failing(transient(), transient()), QUICK)
    operation(store)
    assert store.retried == 2


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_lasting_failure_ends_after_the_attempts(
    operation: Callable[[RetryingStore], object],
) -> None:
    inner = Failing(*[transient("503")] * 100)
    with pytest.raises(StoreUnreachable, match="503"):
        operation(RetryingStore(inner, QUICK))
    assert inner.calls == QUICK.attempts


@pytest.mark.parametrize(
    "failure",
    [
        StoreFull("full"), ObjectMissing("gone"), StoreError("refused"),
        StoreUnreachable("no bucket"), KeyboardInterrupt(),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_not_tried_again(failure: Exception) -> None:
    inner = Failing(failure)
    with pytest.raises(type(failure)):
        RetryingStore(inner, QUICK).put("k", b"v")
    assert inner.calls == 1


def test_a_deadline_ends_it_before_the_attempts_do() -> None:
    inner = Failing(*[transient()] * 1000)
    patience = Patience(attempts=1000, deadline=0.2, first=0.05, longest=0.05, jitter=0.0)
    with pytest.raises(StoreUnreachable):
        RetryingStore(inner, patience).get("k")
    assert 2 <= inner.calls < 20


def test_a_copy_is_made_again_as_a_whole() -> None:
    source = MemoryStore()
    source.put("k", b"value")
    target = RetryingStore(Failing(transient()), QUICK)
    assert target.copy_from(source, "k", "c") == (5, hashlib.sha256(b"value").hexdigest())
    assert target.get("c") == b"value"


def test_a_lost_answer_to_a_conditional_write_is_no_refusal() -> None:
    class Lossy(MemoryStore):
        lost = False

        def put_new(self, key: str, data: bytes) -> bool:
            done = super().put_new(key, data)
            if not self.lost:
                self.lost = True
                raise transient("the answer was lost")
            return done

    assert RetryingStore(Lossy(), QUICK).put_new("k", b"mine")
    there = Lossy()
    there.put("k", b"another's")
    assert not RetryingStore(there, QUICK).put_new("k", b"mine")


def test_a_stream_goes_on_where_it_was_broken_off() -> None:
    content = bytes(range(256)) * 100

    class Breaking(MemoryStore):
        broken = 0

        def open(self, key: str) -> BytesIO:
            whole, store = super().open(key), self

            class Stream(BytesIO):
                def read(self, size: int | None = -1) -> bytes:
                    if self.tell() and store.broken < 3:
                        store.broken += 1
                        raise transient("reset")
                    return super().read(size)

            return Stream(whole.read())

    inner = Breaking()
    inner.put("k", content)
    store = RetryingStore(inner, QUICK)
    with store.open("k") as stream:
        found = b"".join(iter(lambda: stream.read(1000), b""))
    assert found == content
    assert inner.broken == 3


def test_a_store_is_made_sturdy_once() -> None:
    store = sturdy(MemoryStore())
    assert sturdy(store) is store
