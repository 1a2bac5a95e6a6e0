"""A directory as a store: what is half-written is never seen."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kitestring.clients.store.connect import open_segment_store, open_store
from kitestring.clients.store.local import LocalStore
from kitestring.errors import (
    LocalNotRunning,
    SecretMissing,
    StoreFull,
    StoreUnreachable,
)
from kitestring.spec.load import load
from kitestring.spec.stores import LocalStore as LocalSpec
from kitestring.spec.stores import S3Store as S3Spec
from kitestring.spec.types import SecretRef


def test_a_full_disk_leaves_the_old_object_and_no_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    store.put("k", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull, match="no space is left"):
        store.put("k", b"new")
    assert store.get("k") == b"old"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["k"]


def test_remains_of_a_killed_writer_are_not_listed_and_swept(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("k", b"v")
    remains = tmp_path / ".kitestring-partial" / "1-abc"
    remains.write_bytes(b"half")
    assert [i.key for i in store.list("")] == ["k"]
    assert store.sweep(older_than=600) == 0
    os.utime(remains, (0, 0))
    assert store.sweep(older_than=600) == 1
    assert not remains.exists()


def test_deleting_takes_empty_folders_along(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "s")
    store.put("a/b/c", b"v")
    store.put("a/d", b"v")
    store.delete("a/b/c")
    assert sorted(p.name for p in (tmp_path / "s/a").iterdir()) == ["d"]


def test_a_directory_that_has_to_be_there_is_missed(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="not a directory"):
        LocalStore(tmp_path / "nope", create=False)


SPEC = """\
version: 1
cluster: {{name: c}}
connection: {connection}
state: state
storage: {storage}
"""


@pytest.mark.parametrize(
    ("connection", "storage", "error", "words"),
    [
        ("{embedded: data}", "{type: embedded}", LocalNotRunning, "local up"),
        ('{uri: "http://h:1"}', "{type: local, path: nope}", StoreUnreachable, "storage"),
    ],
)
def test_a_cluster_s_store_that_is_not_there_is_explained(
    tmp_path: Path, connection: str, storage: str, error: type[Exception], words: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(SPEC.format(connection=connection, storage=storage))
    with pytest.raises(error) as raised:
        open_segment_store(load(file))
    text = f"{raised.value} {raised.value.hint}"  # type: ignore[attr-defined]
    assert words in text or "store in the spec" in text


def test_stores_of_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        SPEC.format(
            connection='{uri: "http://h:1"}', storage="{type: s3, bucket: milvus, prefix: files}"
        )
    )
    loaded = load(file)
    store, root = open_segment_store(loaded)
    assert (store.url, root) == ("s3://milvus", "files")
    local = open_store(loaded, LocalSpec(type="local", path="b"))
    assert local.url == f"file://{tmp_path / 'b'}"
    keys = S3Spec(
        type="s3",
        bucket="bbb",
        access_key=SecretRef(env="KS_TEST_USER"),
        secret_key=SecretRef(env="KS_TEST_SECRET"),
    )
    monkeypatch.delenv("KS_TEST_USER", raising=False)
    with pytest.raises(SecretMissing, match="KS_TEST_USER"):
        open_store(loaded, keys)
