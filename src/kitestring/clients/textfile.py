"""Small files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from kitestring.errors import StoreError, StoreFull

STATE_HINT = "let this user write the directory that `state` of the spec names"
_ELSEWHERE = "write to another place"


def require_writable(path: Path) -> None:
    """Refuses a place where `write_whole` would fail, before long work is begun.

    Raises:
        StoreError: the directory is missing or may not be written, or the path is a directory.
    """
    reason = ""
    if stat.S_ISDIR(_mode(path)):
        reason = "it is a directory"
    elif _is_stream(path):
        reason = "" if os.access(path, os.W_OK) else "it may not be written"
    elif not stat.S_ISDIR(_mode(path.parent)):
        reason = f"there is no directory {path.parent}"
    elif not os.access(path.parent, os.W_OK):
        reason = f"{path.parent} may not be written"
    if reason:
        raise StoreError(
            f"{path} cannot be written: {reason}",
            hint=_ELSEWHERE,
            subject=str(path),
        )


def write_whole(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Writes a file beside its place and renames it; an older file stays until then.

    A link stays one: the file that it leads to is replaced. A device or pipe is written to.

    Args:
        durable: it is on the disk before it has its name.

    Raises:
        StoreFull: no space is left.
        StoreError: the directory is missing or may not be written.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    place = path if not path.is_symlink() else Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        if _is_stream(path):
            path.write_bytes(data)
            return
        try:
            with temporary.open("wb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise unwritten(path, error) from None


def make_folder(folder: Path, *, hint: str = _ELSEWHERE) -> None:
    """Makes a folder and those above it, where they are not there.

    Args:
        hint: what to do where that is not allowed.

    Raises:
        StoreFull: no space is left.
        StoreError: it may not be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritten(folder, error, hint) from None


def write_pages(folder: Path, pages: Mapping[str, str], *, within: str) -> None:
    """Writes generated pages by their paths below a folder, and removes the Markdown files of the
    folder `within` it that are not among them.

    Raises:
        StoreError: the folder may not be written.
    """
    make_folder(folder / within)
    for path, text in pages.items():
        write_whole(folder / path, text)
    for old in (folder / within).glob("*.md"):
        if f"{within}/{old.name}" not in pages:
            old.unlink()


def unwritten(path: Path, error: OSError, hint: str = _ELSEWHERE) -> StoreError:
    """The error of a file or folder that could not be written: StoreFull where no space is left.

    Args:
        hint: what to do where it is not for want of space.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(
            f"no space is left for {path}",
            hint="free some space, or write elsewhere",
            subject=str(path),
        )
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}",
        hint=hint,
        subject=str(path),
    )


def _mode(path: Path) -> int:
    """What the file is; 0 where there is none, or none that may be seen."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _is_stream(path: Path) -> bool:
    """Whether a file in its place would be another thing: `/dev/null`, `/dev/stdout`, a pipe."""
    mode = _mode(path)
    own = stat.S_ISREG(mode) and path.parts[:2] not in (("/", "dev"), ("/", "proc"))
    return mode != 0 and not own and not stat.S_ISDIR(mode)
