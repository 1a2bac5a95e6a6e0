"""Which files an ingestion takes, and what their documents are called.

A document's id is its path relative to the directory given on the command line, with `/` between
the parts; a file given by itself has its name as id. So the id does not depend on the current
directory. With a `root`, ids are relative to that directory instead, however a file was reached.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kitestring.errors import ExtractFailed, IngestError
from kitestring.ingest.extract import EXTRACTORS


@dataclass(frozen=True, slots=True)
class Source:
    """A document: its id, the file it is in, and the directory that the id is relative to."""

    doc_id: str
    path: Path
    root: str = ""

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            OSError: it can't be read, or is a pipe or a device, which may have no end.
        """
        # a pipe that nobody writes to would block its reader
        with os.fdopen(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            return file.read()


@dataclass(frozen=True, slots=True)
class Found:
    """The documents in the order of their ids, and the files passed over, with the reason.

    `walked`: the directories that were looked through, each with the one that ids are relative to.
    """

    sources: tuple[Source, ...]
    skipped: tuple[tuple[Path, str], ...]
    walked: tuple[tuple[Path, Path], ...] = ()

    def without(self, doc_ids: Collection[str]) -> Found:
        """The others."""
        left = tuple(source for source in self.sources if source.doc_id not in doc_ids)
        return replace(self, sources=left)

    def missing(self, doc_id: str, root: str) -> bool:
        """Whether a document that was found at `root` before stood in a directory that was looked
        through now, and its file is not there any more."""
        for folder, base in self.walked:
            file = base / doc_id
            if root == str(base) and file.is_relative_to(folder):
                return not file.exists() and not file.is_symlink()
        return False


def find_documents(
    paths: Sequence[Path], *, root: Path | None = None, allow_empty: bool = False
) -> Found:
    """The documents at `paths`: files, and directories with all that is below them.

    Hidden files and directories are passed over in silence, and links to directories not followed.

    Raises:
        ExtractFailed: a file given by itself is of an unknown type.
        IngestError: a path is not there, not below `root`, or below a directory whose name is
            not UTF-8; two files would be the same document; or there is no document at all and
            `allow_empty` is false.
    """
    known: dict[str, Source] = {}
    walked: list[tuple[Path, Path]] = []
    skipped: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            files, base = list(below(path)), root or path
            walked.append((path.resolve(), base.resolve()))
        elif path.exists():
            files, base = [path], root or path.parent
            if path.suffix.lower() not in EXTRACTORS:
                raise ExtractFailed(
                    f"{path}: no extractor for `{path.suffix or path.name}`",
                    hint=f"known types: {' '.join(sorted(EXTRACTORS))}",
                    subject=str(path),
                )
        else:
            raise IngestError(
                f"{path} is not there", hint="name a file or a directory", subject=str(path)
            )
        place = str(base.resolve())
        _refuse_bytes(path, place)
        for file in files:
            if file.suffix.lower() not in EXTRACTORS:
                skipped.append((file, f"no extractor for `{file.suffix or file.name}`"))
                continue
            doc_id = _doc_id(file, base)
            if not doc_id.isprintable():
                skipped.append((file, "its name is not printable UTF-8"))
                continue
            other = known.setdefault(doc_id, Source(doc_id, file, place)).path
            if other is not file and not other.samefile(file):
                raise IngestError(
                    f"{other} and {file} would both be the document `{doc_id}`",
                    hint="give a directory above both, or `--root`",
                    subject=doc_id,
                )
    if not known and not allow_empty:
        raise IngestError(
            f"no documents in {', '.join(map(str, paths)) or 'no path'}",
            hint=f"known types: {' '.join(sorted(EXTRACTORS))}",
        )
    return Found(tuple(known[doc] for doc in sorted(known)), tuple(skipped), tuple(walked))


def below(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise IngestError(
            f"{error.filename} can't be listed: {error.strerror}",
            hint="check the rights; nothing was written",
        )

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith(".") and (path.is_file() or path.is_symlink()):
                yield path


def _refuse_bytes(path: Path, place: str) -> None:
    """The ledger keeps where ids start from, as text."""
    try:
        place.encode()
    except UnicodeEncodeError:
        raise IngestError(
            f"{path}: the name of the directory `{place}` is not UTF-8",
            hint="rename it; nothing was written",
            subject=str(path),
        ) from None


def _doc_id(file: Path, base: Path) -> str:
    try:
        # resolve() of the parent only: a link is the document, not what it points to
        absolute = file.parent.resolve() / file.name
        return absolute.relative_to(base.resolve()).as_posix()
    except ValueError:
        raise IngestError(
            f"{file} is not below {base}", hint="`--root` must hold every path", subject=str(file)
        ) from None
