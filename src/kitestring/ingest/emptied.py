"""Folders whose documents are all gone at once: deleted, or only away, such as not mounted?

A folder that holds no file any more but is there is what a mount point looks like while nothing
is mounted on it. One that has vanished with most of the documents of the directory given is as
likely to be away. Neither is taken for a deletion unless the user says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kitestring.ingest.documents import Found, below

_SEVERAL = 2  # the only document of a folder may be deleted like any other


@dataclass(frozen=True, slots=True)
class Emptied:
    """A folder, and the ids of the documents that were in it."""

    folder: Path
    documents: tuple[str, ...]


def emptied(found: Found, gone: Collection[str], roots: Mapping[str, str]) -> tuple[Emptied, ...]:
    """Folders that may be away, of those that documents are gone from.

    Args:
        gone: documents that were in the directories looked through and are not found any more.
        roots: the directory that each id is relative to.
    """
    if len(gone) < _SEVERAL:
        return ()
    alive: dict[str, set[PurePosixPath]] = defaultdict(set)
    known: Counter[str] = Counter()
    for source in found.sources:
        alive[source.root].update(PurePosixPath(source.doc_id).parents)
        known[source.root] += 1
    lost: dict[Path, list[str]] = defaultdict(list)
    for doc_id in sorted(gone):
        root = roots.get(doc_id, "")
        known[root] += 1
        folder = _outermost(found, root, doc_id, alive[root])
        if folder is not None:
            lost[folder].append(doc_id)
    return tuple(
        Emptied(folder, tuple(documents))
        for folder, documents in lost.items()
        if len(documents) >= _SEVERAL
        and (
            not _holds_files(folder)
            if folder.is_dir()
            else 2 * len(documents) > known[roots.get(documents[0], "")]
        )
    )


def _outermost(
    found: Found, root: str, doc_id: str, alive: Collection[PurePosixPath]
) -> Path | None:
    """The outermost folder above a document, within a directory looked through, in which no
    document was found; None where its own folder has others."""
    walked = [folder for folder, base in found.walked if str(base) == root]
    for parent in reversed(PurePosixPath(doc_id).parents):
        folder = Path(root, parent)
        if parent not in alive and any(folder.is_relative_to(one) for one in walked):
            return folder
    return None


def _holds_files(folder: Path) -> bool:
    files: Iterator[Path] = below(folder)
    return next(files, None) is not None
