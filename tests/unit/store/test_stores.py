"""Every store keeps the same promises: a directory, memory, and S3 (moto's server)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.memory import MemoryStore
from kitestring.clients.store.protocol import ObjectStore, join, sha256_of
from kitestring.errors import ObjectMissing, StoreError, StoreUnreachable

if TYPE_CHECKING:
    from kitestring.clients.store.s3 import S3Store

KEYS = {"access_key": "user", "secret_key": "a-secret"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """moto's S3 server on a free port, with the bucket `bucket`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="user",
        aws_secret_access_key="a-secret",
    ).create_bucket(Bucket="bucket")
    try:
        yield url
    finally:
        server.stop()


@pytest.fixture
def s3(endpoint: str, unique: Callable[[str], str]) -> S3Store:
    from kitestring.clients.store.s3 import S3Store

    return S3Store("bucket", prefix=unique("p"), endpoint_url=endpoint, **KEYS)


@pytest.fixture(params=["local", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    if request.param == "memory":
        return MemoryStore()
    found: ObjectStore = request.getfixturevalue("s3")
    return found


def test_what_is_put_is_got_listed_and_deleted(store: ObjectStore) -> None:
    store.put("a/b/c", b"one")
    store.put("a/bc", BytesIO(b"three"))
    store.put("z", b"")
    assert [(i.key, i.size) for i in store.list("")] == [("a/b/c", 3), ("a/bc", 5), ("z", 0)]
    assert [i.key for i in store.list("a/b")] == ["a/b/c", "a/bc"]
    assert [i.key for i in store.list("a/b/")] == ["a/b/c"]
    assert list(store.list("nothing/")) == []
    assert store.get("a/bc") == b"three"
    with store.open("a/b/c") as stream:
        assert (stream.read(2), stream.read()) == (b"on", b"e")
    head = store.head("z")
    assert head is not None
    assert head.size == 0
    store.delete("a/bc")
    store.delete("a/bc")
    assert store.head("a/bc") is None


def test_times_are_of_now(store: ObjectStore) -> None:
    import time

    store.put("k", b"v")
    assert abs(next(store.list("")).modified / 1000 - time.time()) < 60


def test_what_is_missing_is_named(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing, match="no/such"):
        store.get("no/such")
    with pytest.raises(ObjectMissing), store.open("no/such") as stream:
        stream.read()
    with pytest.raises(ObjectMissing):
        store.copy_from(store, "no/such", "copy")
    assert store.head("no/such") is None


@pytest.mark.parametrize("key", ["../x", "/etc/x", "a/../b", "a//b", "", "a/./b", "a\\b", "a/"])
def test_a_key_can_not_leave_the_store(store: ObjectStore, key: str) -> None:
    for act in (store.get, store.head, store.delete, lambda k: store.put(k, b"x")):
        with pytest.raises(StoreError, match="not a key"):
            act(key)


def test_only_the_first_of_two_creates(store: ObjectStore) -> None:
    assert store.put_new("lock", b"first")
    assert not store.put_new("lock", b"second")
    assert store.get("lock") == b"first"


@pytest.mark.parametrize("size", [0, 1, 9_000_001])
def test_a_copy_gives_size_and_checksum(store: ObjectStore, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    other = MemoryStore()
    other.put("from", data)
    wanted = (size, hashlib.sha256(data).hexdigest())
    assert store.copy_from(other, "from", "to/here") == wanted
    assert sha256_of(store, "to/here") == wanted
    assert store.copy_from(store, "to/here", "again") == wanted
    assert store.get("again") == data


def test_a_copy_that_fails_leaves_what_was_there(store: ObjectStore) -> None:
    class Broken(MemoryStore):
        def open(self, key: str):  # type: ignore[no-untyped-def]
            class Stream(BytesIO):
                def read(self, size: int | None = -1) -> bytes:
                    raise StoreError("the source broke off")

            return Stream()

    store.put("k", b"old")
    with pytest.raises(StoreError):
        store.copy_from(Broken(), "any", "k")
    with pytest.raises(StoreError):
        store.copy_from(Broken(), "any", "new")
    assert [i.key for i in store.list("")] == ["k"]
    assert store.get("k") == b"old"


def test_s3_lists_more_than_a_page(s3: S3Store) -> None:
    for number in range(1003):
        s3.put(f"many/{number:04d}", b"x")
    assert len(list(s3.list("many/"))) == 1003


def test_s3_copies_between_buckets_of_one_server(s3: S3Store, endpoint: str) -> None:
    from kitestring.clients.store.s3 import S3Store

    other = S3Store("bucket", prefix="elsewhere", endpoint_url=endpoint, **KEYS)
    other.put("a", b"data" * 1000)
    size, digest = s3.copy_from(other, "a", "b")
    assert (size, digest) == (4000, hashlib.sha256(b"data" * 1000).hexdigest())
    assert s3.url.startswith("s3://bucket/p_")


def test_a_bucket_that_is_not_there_is_said_so(endpoint: str) -> None:
    from kitestring.clients.store.s3 import S3Store

    store = S3Store("no-such-bucket", endpoint_url=endpoint, **KEYS)
    for act in (lambda: list(store.list("")), lambda: store.put("k", b"v")):
        with pytest.raises(StoreUnreachable, match="no bucket `no-such-bucket`"):
            act()


def test_an_endpoint_that_is_away_is_said_so() -> None:
    import socket

    from kitestring.clients.store.s3 import S3Store

    with socket.socket() as taken:  # bound, never listening: nobody else answers there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        store = S3Store("bucket", endpoint_url=f"http://127.0.0.1:{port}", timeout=1.0, **KEYS)
        with pytest.raises(StoreUnreachable, match=f"{port}") as error:
            store.get("k")
    assert "endpoint_url" in error.value.hint


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("InvalidAccessKeyId", "store.unreachable", "refuses the credentials"),
        ("AccessDenied", "store.unreachable", "refuses the credentials"),
        ("XMinioStorageFull", "store.full", "no space is left"),
        ("SlowDown", "store.unreachable", "overloaded"),
    ],
)
def test_what_s3_answers_is_translated(s3: S3Store, code: str, kind: str, words: str) -> None:
    from botocore.exceptions import ClientError

    answer = ClientError({"Error": {"Code": code, "Message": "m"}}, "PutObject")  # type: ignore[arg-type]
    error = s3._error(answer, "k")
    assert error.code == kind
    assert words in error.message


def test_joining_keys() -> None:
    assert join("", "a/", "/b", "") == "a/b"
