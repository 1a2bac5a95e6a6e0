"""Which files an ingestion takes, and what their documents are called.

A document's id is its path relative to the directory given on the command line, with `/` between
the parts; a file given by itself has its name as id. So the id does not depend on the current
directory. With a `root`, ids are relative to that directory instead, however a file was reached.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kitestring.errors import ExtractFailed, IngestError
from kitestring.ingest.extract import EXTRACTORS


@dataclass(frozen=True, slots=True)
class Source:
    """A document: its id, and the file it is in."""

    doc_id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Found:
    """The documents in the order of their ids, and the files passed over, with the reason."""

    sources: tuple[Source, ...]
    skipped: tuple[tuple[Path, str], ...]


def find_documents(paths: Sequence[Path], *, root: Path | None = None) -> Found:
    """The documents at `paths`: files, and directories with all that is below them.

    Hidden files and directories are passed over in silence, and links to directories not followed.

    Raises:
        ExtractFailed: a file given by itself is of an unknown type.
        IngestError: a path is not there, not below `root`, two files would be the same document,
            or there is no document at all.
    """
    known: dict[str, Path] = {}
    skipped: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir():
            files, base = list(_below(path)), root or path
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
        for file in files:
            if file.suffix.lower() not in EXTRACTORS:
                skipped.append((file, f"no extractor for `{file.suffix or file.name}`"))
                continue
            doc_id = _doc_id(file, base)
            if not doc_id.isprintable():
                skipped.append((file, "its name is not printable UTF-8"))
                continue
            other = known.setdefault(doc_id, file)
            if other is not file and not other.samefile(file):
                raise IngestError(
                    f"{other} and {file} would both be the document `{doc_id}`",
                    hint="give a directory above both, or `--root`",
                    subject=doc_id,
                )
    if not known:
        raise IngestError(
            f"no documents in {', '.join(map(str, paths)) or 'no path'}",
            hint=f"known types: {' '.join(sorted(EXTRACTORS))}",
        )
    sources = tuple(Source(doc, known[doc]) for doc in sorted(known))
    return Found(sources, tuple(skipped))


def _below(folder: Path) -> Iterator[Path]:
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


def _doc_id(file: Path, base: Path) -> str:
    try:
        # resolve() of the parent only: a link is the document, not what it points to
        absolute = file.parent.resolve() / file.name
        return absolute.relative_to(base.resolve()).as_posix()
    except ValueError:
        raise IngestError(
            f"{file} is not below {base}", hint="`--root` must hold every path", subject=str(file)
        ) from None
