"""An object store in a directory: a key is a path below it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from kitestring.clients.store.protocol import (
    HashingReader,
    ObjectInfo,
    ObjectStore,
    check_key,
    chunks,
)
from kitestring.errors import ObjectMissing, StoreError, StoreFull, StoreUnreachable

_PARTIAL = ".kitestring-partial"  # half-written files; never listed


class LocalStore:
    """Objects as files below `path`.

    Args:
        path: an absolute directory.
        create: make it on the first write; without it, it has to be there.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        if not create and not path.is_dir():
            raise StoreUnreachable(
                f"{path} is not a directory",
                hint="check the path of the store in the spec, and that the server has started",
                subject=str(path),
            )

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def path_of(self, key: str) -> Path:
        """The file of an object."""
        return self.path / check_key(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        top = self.path / prefix.rpartition("/")[0]
        if ".." in Path(prefix).parts:
            check_key(prefix)
        return self._walk(top, prefix)

    def _walk(self, folder: Path, prefix: str) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda e: e.name + "/" * e.is_dir())
        except FileNotFoundError:
            return
        except OSError as error:
            if isinstance(error, NotADirectoryError) and self.path.is_dir():
                return  # an object of that name: nothing is below it
            raise self._translated(error, str(folder)) from error
        for entry in entries:
            if entry.name == _PARTIAL:
                continue
            key = str(Path(entry.path).relative_to(self.path))
            if entry.is_dir():
                if key.startswith(prefix) or prefix.startswith(key + "/"):
                    yield from self._walk(Path(entry.path), prefix)
            elif key.startswith(prefix):
                try:
                    stat = entry.stat()
                except FileNotFoundError:  # removed since the listing
                    continue
                yield ObjectInfo(key, stat.st_size, stat.st_mtime_ns // 1_000_000)

    def get(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def open(self, key: str) -> BinaryIO:
        try:
            return self.path_of(key).open("rb")
        except OSError as error:
            raise self._translated(error, key) from error

    def head(self, key: str) -> ObjectInfo | None:
        try:
            stat = self.path_of(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._translated(error, key) from error
        return ObjectInfo(key, stat.st_size, stat.st_mtime_ns // 1_000_000)

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        self._write(key, BytesIO(data) if isinstance(data, bytes) else data)

    def put_new(self, key: str, data: bytes) -> bool:
        return self._write(key, BytesIO(data), replace=False)

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        with other.open(source_key) as stream:
            reader = HashingReader(stream)
            self._write(key, reader)
        return reader.size, reader.sha256

    def server_path(self, key: str) -> str:
        return str(self.path_of(key).absolute())

    def delete(self, key: str) -> None:
        path = self.path_of(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._translated(error, key) from error
        # a key's folders mean nothing once they are empty
        with contextlib.suppress(OSError):
            for folder in path.parents:
                if folder == self.path:
                    break
                folder.rmdir()

    def sweep(self, older_than: float) -> int:
        swept = 0
        for path in (self.path / _PARTIAL).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime >= older_than:
                    path.unlink()
                    swept += 1
        return swept

    def _write(self, key: str, stream: BinaryIO | HashingReader, *, replace: bool = True) -> bool:
        target = self.path_of(key)
        partial = self.path / _PARTIAL / f"{os.getpid()}-{secrets.token_hex(6)}"
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:
                    for data in chunks(stream.read):
                        file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                return self._place(partial, target, replace=replace)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise self._translated(error, key) from error

    def _place(self, partial: Path, target: Path, *, replace: bool) -> bool:
        while True:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if replace:
                    partial.replace(target)
                else:
                    os.link(partial, target)  # fails where there is one: no race
            except FileExistsError:
                return False
            except FileNotFoundError:  # somebody's delete removed the folder between the two
                if not partial.exists():
                    raise
                continue
            _sync(target.parent)
            return True

    def _translated(self, error: OSError, key: str) -> StoreError:
        what = f"{self.path / key}: {error.strerror or error}"
        if isinstance(error, FileNotFoundError):
            return ObjectMissing(f"there is no object {self.path / key}", subject=key)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return StoreFull(
                f"no space is left in {self.path} ({error.strerror})",
                hint="free some, or name a larger store in the spec; nothing was half-written",
                subject=str(self.path),
            )
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            return StoreUnreachable(
                what, hint="check the owner and mode of the store's directory", subject=key
            )
        if isinstance(error, NotADirectoryError | FileExistsError):
            file = next((p for p in (self.path / key).parents if p.is_file()), self.path)
            return StoreUnreachable(
                f"{file} is a file: the store at {self.path} has to be a directory",
                hint="correct `path` of the store in the spec",
                subject=str(self.path),
            )
        return StoreError(what, subject=key)


def _sync(folder: Path) -> None:
    """Makes a rename in the folder last, where the file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
