"""What the bench of backups runs on: a Milvus with a collection of a given size, and its stores.

Where the tests' toolchain has a MinIO, the segments and the backups are on it; else both are in
directories, and a server-side copy is a copy of files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.protocol import ObjectStore
from kitestring.clients.store.s3 import S3Store
from kitestring.local import running
from kitestring.local.wheel import cache_dir
from kitestring.model.collection import Field, Index, Schema
from kitestring.segments.layout import segment_prefix
from kitestring.segments.write import insert_log
from tests.e2e.s3.minio import Minio, running_minio

DIM = 384
NAME = "measured"
SCHEMA = Schema(
    (
        Field("id", "INT64", primary=True, field_id=100),
        Field("embedding", "FLOAT_VECTOR", dim=DIM, field_id=101),
        Field("doc_id", "VARCHAR", max_length=64, field_id=102),
    )
)
ROW = 4 * DIM + 8 + 20  # bytes, about
INDEX = Index("embedding", "embedding", "FLAT", "L2")  # built at once: no index build is measured
_CHUNK = 50_000  # rows of one bulk import
_IMPORT_TIMEOUT = 1800.0
_THREADS = 16


@dataclass
class Site:
    """A running server, its segments' store, and where backups go."""

    home: Path
    milvus: MilvusServer
    segments: ObjectStore
    root: str  # Milvus's root path in it
    minio: Minio | None

    @property
    def kind(self) -> str:
        return "minio" if self.minio else "directories"

    def spec(self, backups: str, *, storage: bool = True, method: str = "physical") -> Path:
        """Writes a spec whose backups go below `backups`.

        Args:
            storage: say where the segments are; without it only the API leads to the rows.
        """
        if self.minio is None:
            segments: dict[str, Any] = {"type": "embedded"}
            store: dict[str, Any] = {"type": "local", "path": str(self.home / backups)}
        else:
            at = {
                "type": "s3",
                "endpoint_url": self.minio.url,
                "access_key": {"env": "KS_BENCH_USER"},
                "secret_key": {"env": "KS_BENCH_SECRET"},
            }
            segments = {**at, "bucket": "milvus", "prefix": self.root}
            store = {**at, "bucket": "backups", "prefix": backups}
        document: dict[str, Any] = {
            "version": 1,
            "cluster": {"name": "bench", "environment": "test"},
            "connection": {"embedded": str(self.home / "milvus"), "timeout": "120s"},
            "state": str(self.home / f"state-{backups}"),
            "backup": {"store": store, "method": method},
        }
        if storage:
            document["storage"] = segments
        file = self.home / f"{backups}{'' if storage else '-api'}-{method}.yaml"
        file.write_text(yaml.safe_dump(document))
        return file

    def store(self, name: str) -> ObjectStore:
        """A store for copies, where backups go."""
        if self.minio is None:
            return LocalStore(self.home / name)
        return self._bucket("backups", name)

    def _bucket(self, bucket: str, prefix: str) -> S3Store:
        assert self.minio is not None
        return S3Store(
            bucket,
            prefix=prefix,
            endpoint_url=self.minio.url,
            access_key=self.minio.access_key,
            secret_key=self.minio.secret_key,
        )

    def clear(self, name: str) -> None:
        store = self.store(name)
        with ThreadPoolExecutor(_THREADS) as executor:
            list(executor.map(lambda o: store.delete(o.key), list(store.list(""))))

    def live_objects(self) -> list[str]:
        """Keys of the insert, delta and stats logs of the collection's live segments."""
        info = self.milvus.describe(NAME)
        live = {s.id for s in self.milvus.segments(NAME) if s.state == "Flushed"}
        found: list[str] = []
        for kind in ("insert_log", "delta_log", "stats_log"):
            below = "/".join(part for part in (self.root, kind, str(info.id)) if part) + "/"
            keys = [o.key for o in self.segments.list(below)]
            found += [k for k in keys if int(k.removeprefix(below).split("/")[1]) in live]
        return found

    def bare_copy(self, to: str) -> float:
        """Seconds of a copy of the same objects by 16 threads and nothing else: no checksum, no
        listing, no record."""
        keys = self.live_objects()
        if self.minio is None:
            source, target = self.segments, self.store(to)
            assert isinstance(source, LocalStore)
            assert isinstance(target, LocalStore)

            def copy(key: str) -> None:
                file = target.path_of(key)
                file.parent.mkdir(parents=True, exist_ok=True)
                with source.path_of(key).open("rb") as read, file.open("wb") as write:
                    while data := read.read(4 << 20):
                        write.write(data)
                    write.flush()
                    os.fsync(write.fileno())  # what is backed up has to be on the disk
        else:
            client = self.minio.client()

            def copy(key: str) -> None:
                client.copy_object(
                    Bucket="backups", Key=f"{to}/{key}", CopySource={"Bucket": "milvus", "Key": key}
                )

        begun = time.perf_counter()
        with ThreadPoolExecutor(_THREADS) as executor:
            list(executor.map(copy, keys))
        seconds = time.perf_counter() - begun
        self.clear(to)
        return seconds

    def fill(self, rows: int, start: int = 0) -> None:
        """Writes rows by bulk import of segment files that are made here: 50,000 a task."""
        info = self.milvus.describe(NAME)
        random = np.random.default_rng(start)
        for first in range(start, start + rows, _CHUNK):
            count = min(_CHUNK, start + rows - first)
            self._import(info.id, first, count, random)

    def _import(self, collection: int, first: int, count: int, random: np.random.Generator) -> None:
        ids = (collection, 1, first + 1)
        place = "/".join(part for part in (self.root, "bench", str(first)) if part)
        keys = pa.array(np.arange(first, first + count))
        at = int(time.time() * 1000) << 18
        vectors = random.standard_normal((count, DIM), dtype=np.float32)
        flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM)
        texts = pa.array([f"document {n // 10:011d}" for n in range(first, first + count)])
        columns = {
            0: (Field("r", "INT64", field_id=0), keys),
            1: (Field("t", "INT64", field_id=1), pa.array(np.full(count, at))),
            **{f.field_id: (f, v) for f, v in zip(SCHEMA.fields, (keys, flat, texts), strict=True)},
        }
        written = []
        for number, (of, values) in columns.items():
            key = f"{place}/{segment_prefix('insert_log', *ids)}/{number}/1"
            self.segments.put(key, insert_log(values, of, ids, at))
            written.append(key)
        prefixes = [segment_prefix(kind, *ids) for kind in ("insert_log", "delta_log")]
        paths = [self.segments.server_path(f"{place}/{prefix}") for prefix in prefixes]
        task = self.milvus.start_import(NAME, "_default", paths, until=(at >> 18) + 60_000)
        deadline = time.monotonic() + _IMPORT_TIMEOUT
        while not (state := self.milvus.import_state(task)).done:
            if state.failed or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not import the data: {state.reason}")
            time.sleep(0.2)
        for key in written:
            self.segments.delete(key)


@contextmanager
def site(home: Path, *, on: str = "auto") -> Iterator[Site]:
    """A server with an empty collection, loaded with an index that answers exactly.

    Args:
        on: minio, local, or auto: MinIO where it has been built.
    """
    built = sorted((cache_dir() / "toolchain").glob("minio-*/bin/minio"))
    if on == "minio" and not built:
        raise RuntimeError("there is no MinIO: `python -m tests.e2e.toolchain.build` builds one")
    with ExitStack() as stack:
        minio, settings = None, {"dataCoord.compaction.enableAutoCompaction": "false"}
        if built and on != "local":
            minio = stack.enter_context(running_minio(built[-1], home / "minio"))
            for bucket in ("milvus", "backups"):
                minio.client().create_bucket(Bucket=bucket)
            settings |= minio.milvus_config("milvus", "files")
            os.environ["KS_BENCH_USER"] = minio.access_key
            os.environ["KS_BENCH_SECRET"] = minio.secret_key
        state = stack.enter_context(
            running(home / "milvus", timeout=180, remove=True, extra_config=settings)
        )
        milvus = stack.enter_context(MilvusServer(state.uri, timeout=120))
        made = Site(home, milvus, LocalStore(Path(state.root_path)), "", minio)
        if minio is not None:
            made.segments, made.root = made._bucket("milvus", ""), "files"
        milvus.create_collection(NAME, SCHEMA)
        milvus.create_index(NAME, INDEX)
        milvus.load(NAME)
        yield made
