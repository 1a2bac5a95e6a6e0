from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kitestring.clients.embedder.cache import CachedEmbedder, fingerprint
from kitestring.clients.embedder.cache_sqlite import SqliteVectors
from kitestring.clients.embedder.fake import FakeEmbedder
from kitestring.spec.models import HashingModel, HashingOptions, HttpModel, HttpOptions
from kitestring.spec.types import SecretRef

TEXTS = [f"text {n}" for n in range(40)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "embeddings.sqlite"


def cached(
    file: Path, *, size: int = 1 << 30, named: str = "m", dimension: int = 8
) -> CachedEmbedder:
    return CachedEmbedder(FakeEmbedder(dimension=dimension), SqliteVectors(file, size), named)


def asked(embedder: CachedEmbedder) -> list[str]:
    assert isinstance(embedder.model, FakeEmbedder)
    return embedder.model.texts


def test_what_was_embedded_once_is_not_embedded_again(file: Path) -> None:
    first = cached(file)
    vectors = first.embed([*TEXTS, TEXTS[3]])
    assert (first.hits, first.misses) == (0, 41)
    assert asked(first) == TEXTS  # the same text once
    first.close()
    second = cached(file)
    again = second.embed(["new", *TEXTS])
    assert (second.hits, second.misses, asked(second)) == (40, 1, ["new"])
    assert (again[1:] == vectors[:40]).all()
    assert again.dtype == np.float32
    assert second.notes == ()
    assert second.embed([]).shape == (0, 8)
    second.close()


def test_another_model_or_dimension_has_entries_of_its_own(file: Path) -> None:
    for embedder in (
        cached(file),
        cached(file, named="other"),
        cached(file, named="x", dimension=4),
    ):
        embedder.embed(TEXTS)
        assert (embedder.hits, embedder.misses) == (0, 40)
        embedder.close()


def test_the_fingerprint_is_of_what_decides_a_models_vectors() -> None:
    word = HashingModel(provider="hashing", name="h", version="1", dimension=8)
    char = word.model_copy(update={"options": HashingOptions(analyzer="char")})
    assert fingerprint(word) != fingerprint(char)
    options = HttpOptions(model="m", base_url=SecretRef(env="A"))
    served = HttpModel(provider="openai", name="s", version="1", dimension=8, options=options)
    slower = options.model_copy(update={"timeout": 99.0, "batch_size": 2})
    assert fingerprint(served) == fingerprint(served.model_copy(update={"options": slower}))
    other = options.model_copy(update={"model": "n"})
    assert fingerprint(served) != fingerprint(served.model_copy(update={"options": other}))


def test_the_longest_unused_go_first(file: Path) -> None:
    entry = 16 + 8 * 4
    cache = cached(file, size=entry * 20)
    cache.embed(TEXTS[:10])
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE vectors SET used = used - 7200")
    cache.embed(TEXTS[:5])  # used again
    cache.embed(TEXTS[10:23])
    cache.close()
    with sqlite3.connect(file) as raw:
        (count, size) = raw.execute("SELECT count(*), sum(length(entry)) FROM vectors").fetchone()
        assert size == raw.execute("SELECT bytes FROM size").fetchone()[0] <= entry * 20
    assert count == 18
    after = cached(file)
    after.embed(TEXTS[:5])
    assert after.hits == 5
    after.embed(TEXTS[5:10])
    assert after.hits == 5
    after.close()


@pytest.mark.parametrize("damage", ["garbage", "middle", "version"])
def test_a_damaged_file_is_set_aside_and_gives_no_wrong_vector(file: Path, damage: str) -> None:
    cache = cached(file)
    right = cache.embed(TEXTS)
    cache.close()
    data = bytearray(file.read_bytes())
    if damage == "garbage":
        file.write_bytes(b"no database" * 1000)
    elif damage == "middle":
        data[100 : len(data)] = bytes(len(data) - 100)
        file.write_bytes(data)
    else:
        with sqlite3.connect(file) as raw:
            raw.execute("PRAGMA user_version = 77")
    again = cached(file)
    assert (again.embed(TEXTS) == right).all()
    assert again.misses == 40
    assert "was set aside" in again.notes[0]
    assert len(list(file.parent.glob("*.damaged-*"))) == 1
    again.close()
    third = cached(file)
    third.embed(TEXTS)
    assert third.hits == 40
    third.close()


def test_an_entry_that_was_changed_is_no_vector(file: Path) -> None:
    cache = cached(file)
    right = cache.embed(TEXTS)
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE vectors SET entry = zeroblob(48) WHERE rowid <= 3")
        raw.execute("UPDATE vectors SET entry = substr(entry, 1, 20) WHERE rowid = 4")
    assert (cache.embed(TEXTS) == right).all()
    assert cache.hits == 36
    assert "4 entries of the embedding cache were damaged" in cache.notes[0]
    assert (cache.embed(TEXTS) == right).all()
    assert cache.hits == 76
    cache.close()


def test_a_cache_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    cache = cached(tmp_path / "taken" / "embeddings.sqlite")
    assert cache.embed(TEXTS).shape == (40, 8)
    assert cache.embed(TEXTS).shape == (40, 8)
    assert len(asked(cache)) == 80
    assert "is left out" in cache.notes[0]
    cache.close()


WRITER = """
import sys
from pathlib import Path
from kitestring.clients.embedder.cache import CachedEmbedder
from kitestring.clients.embedder.cache_sqlite import SqliteVectors
from kitestring.clients.embedder.fake import FakeEmbedder
cache = CachedEmbedder(FakeEmbedder(), SqliteVectors(Path(sys.argv[1]), 1 << 30), "m")
for start in range(0, 400, 8):
    cache.embed([f"text {n}" for n in range(start, start + 8)])
print(cache.notes)
"""


def test_two_processes_share_one_file(file: Path) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in both] == ["()\n", "()\n"]
    after = cached(file)
    after.embed([f"text {n}" for n in range(400)])
    assert (after.hits, after.misses) == (400, 0)
    after.close()
    with sqlite3.connect(file) as raw:
        assert raw.execute("SELECT bytes FROM size").fetchone()[0] == 400 * (16 + 32)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server, on a socket of its own."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server on this machine (Debian: apt-get install redis-server)")
    path = tmp_path_factory.mktemp("redis") / "redis.sock"
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(path.parent)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"unix://{path}?db=0"
    finally:
        process.terminate()
        process.wait()


def test_redis_keeps_vectors_for_everybody(redis_url: str) -> None:
    import redis

    from kitestring.clients.embedder.cache_redis import RedisVectors

    def shared() -> CachedEmbedder:
        return CachedEmbedder(FakeEmbedder(), RedisVectors(redis_url, 1000), "m")

    first, second = shared(), shared()
    right = first.embed(TEXTS)
    assert (second.embed(TEXTS) == right).all()
    assert (second.hits, second.misses) == (40, 0)
    server = redis.Redis.from_url(redis_url)
    keys = list(server.scan_iter("kitestring:vector:*"))
    assert len(keys) == 40
    assert 0 < int(server.ttl(keys[0])) <= 1000  # type: ignore[arg-type]
    server.set(keys[0], b"something else")
    assert (second.embed(TEXTS) == right).all()
    assert "1 entries of the embedding cache" in second.notes[0]
    for cache in (first, second):
        cache.close()
    server.close()


def test_a_redis_that_is_away_is_left_out() -> None:
    from kitestring.clients.embedder.cache_redis import RedisVectors

    with socket.socket() as taken:  # bound, never listening
        taken.bind(("127.0.0.1", 0))
        url = f"redis://:secret@127.0.0.1:{taken.getsockname()[1]}/0"
        cache = CachedEmbedder(FakeEmbedder(), RedisVectors(url, 1000), "m")
        assert cache.embed(TEXTS).shape == (40, 8)
    assert "is left out: Redis at 127.0.0.1" in cache.notes[0]
    assert "secret" not in cache.notes[0]
    cache.close()
