"""Small files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from kitestring.errors import StoreError, StoreFull


def require_writable(path: Path) -> None:
    """Refuses a place where `write_whole` would fail, before long work is begun.

    Raises:
        StoreError: the directory is missing or may not be written, or the path is a directory.
    """
    reason = ""
    if path.is_dir():
        reason = "it is a directory"
    elif not path.parent.is_dir():
        reason = f"there is no directory {path.parent}"
    elif not os.access(path.parent, os.W_OK):
        reason = f"{path.parent} may not be written"
    if reason:
        raise StoreError(
            f"{path} cannot be written: {reason}",
            hint="write to another place",
            subject=str(path),
        )


def write_whole(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Writes a file beside its place and renames it; an older file stays until then.

    Args:
        durable: it is on the disk before it has its name.

    Raises:
        StoreFull: no space is left.
        StoreError: the directory is missing or may not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with temporary.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(
                f"no space is left for {path}",
                hint="free some space, or write elsewhere",
                subject=str(path),
            ) from None
        raise StoreError(
            f"{path} cannot be written: {error.strerror}",
            hint="write to another place",
            subject=str(path),
        ) from None


def write_pages(folder: Path, pages: Mapping[str, str], *, within: str) -> None:
    """Writes generated pages by their paths below a folder, and removes the Markdown files of the
    folder `within` it that are not among them.

    Raises:
        StoreError: the folder may not be written.
    """
    (folder / within).mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        write_whole(folder / path, text)
    for old in (folder / within).glob("*.md"):
        if f"{within}/{old.name}" not in pages:
            old.unlink()
