"""Follows a folder: what is new, changed or deleted in it is ingested soon after.

By looking at it again and again, not by the kernel's notices: those do not come from network
mounts, of files changed on another host, or when a volume's link is swapped; and a look at 100,000
files takes less than a second. A pass begins once two looks in a row see the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kitestring.errors import (
    AuthenticationFailed,
    DimensionMismatch,
    EmbedderFailed,
    IngestError,
    KitestringError,
    LedgerBusy,
    MilvusError,
    PermissionDenied,
    SpecError,
    UsageError,
)
from kitestring.ingest.documents import below
from kitestring.ingest.extract import EXTRACTORS
from kitestring.model.ingest import IngestReport

EVERY = 2.0  # seconds between two looks
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a pass that failed is tried again
PARKED_PAUSE, LONGEST_PARKED = 60.0, 3600.0  # before what was parked is
_LASTING = (AuthenticationFailed, PermissionDenied, DimensionMismatch)

Stat = tuple[int, int, int]  # time of the last change in ns, size, inode
Pass = Callable[[Collection[str]], IngestReport]
Tell = Callable[[str], None]


@dataclass(slots=True)
class Watch:
    """One watch over folders; `run` ends only by an exception.

    Args:
        folders: directories; a document's id is its path relative to `root` or its folder.
        one_pass: ingests the folders, given the documents that are known to be unchanged.
        tell: takes a line for the user.
        done: takes each pass's report.
    """

    folders: Sequence[Path]
    one_pass: Pass
    tell: Tell
    done: Callable[[IngestReport], None]
    root: Path | None = None
    every: float = EVERY
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _tried: dict[Path, Stat] = field(default_factory=dict)  # as they were at the last pass
    _written: dict[Path, Stat] = field(default_factory=dict)  # those of them that are stored
    _places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _retry_at: float | None = None
    _pause: float = PARKED_PAUSE
    _told: bool = False

    def run(self) -> None:
        """Passes for ever. The first pass's errors are raised: they are mistakes of the call.

        Raises:
            UsageError: a folder is no directory.
            KitestringError: what no waiting mends.
        """
        self._places = {folder: _place(folder) for folder in self.folders}
        last = self._look()
        if last:
            self._pass(last)
        else:
            # nothing of what is stored is removed: the folder may not be mounted yet
            self.tell("no pass: there are no documents yet")
        while True:
            self.sleep(self.every)
            now = self._look()
            if now is None:
                continue
            settled, last = now == last, now
            if settled and self._due(now):
                self._persist(now)

    def _due(self, now: Mapping[Path, Stat]) -> bool:
        return now != self._tried or (self._retry_at is not None and self.clock() >= self._retry_at)

    def _persist(self, now: Mapping[Path, Stat]) -> None:
        """One pass; again and again while the server or the model is away."""
        pause = FIRST_PAUSE
        while True:
            try:
                self._pass(now)
                return
            except KitestringError as error:
                if not _passes(error):
                    raise
                self.tell(f"no pass: {error.message}; again in {pause:g} s")
            self.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            now = self._look() or now

    def _pass(self, now: Mapping[Path, Stat]) -> None:
        unchanged = {self._id(p) for p, stat in now.items() if self._written.get(p) == stat}
        report = self.one_pass(unchanged)
        open_ = {f.doc_id for f in report.failed} | {x.document for x in report.parked}
        self._tried = dict(now)
        self._written = {p: stat for p, stat in now.items() if self._id(p) not in open_}
        if open_:
            self._retry_at = self.clock() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PARKED)
        else:
            self._retry_at, self._pause = None, PARKED_PAUSE
        self.done(report)

    def _look(self) -> dict[Path, Stat] | None:
        """The documents and how they are; None where a folder is away."""
        seen: dict[Path, Stat] = {}
        try:
            for folder in self.folders:
                found = _documents(folder)
                if not found and self._tried and _place(folder) != self._places[folder]:
                    self._away(f"{folder} is another directory now, and empty")
                    return None
                seen |= found
        except (KitestringError, OSError) as error:
            self._away(str(error))
            return None
        self._told = False
        return seen

    def _away(self, why: str) -> None:
        if not self._told:
            self.tell(f"no pass: {why}; what is stored stays until it is back")
        self._told = True

    def _id(self, path: Path) -> str:
        folder = next(f for f in self.folders if path.is_relative_to(f))
        base = (self.root or folder).resolve()
        return (path.parent.resolve() / path.name).relative_to(base).as_posix()


def _passes(error: KitestringError) -> bool:
    """Whether waiting may mend it: a server or model that is away, another ingestion, a cutover
    under way, a spec that is just being edited."""
    if isinstance(error, MilvusError | EmbedderFailed | LedgerBusy | SpecError):
        return not isinstance(error, _LASTING)
    return type(error) is IngestError


def _documents(folder: Path) -> dict[Path, Stat]:
    found: dict[Path, Stat] = {}
    for path in below(folder):
        if path.suffix.lower() in EXTRACTORS:
            try:
                stat = path.stat()
            except OSError:  # deleted since, or a link to nothing
                continue
            found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def _place(folder: Path) -> tuple[int, int]:
    """Which directory it is: what is mounted over it, or not any more, is another one."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no directory", hint="`--watch` follows directories")
    stat = folder.stat()
    return stat.st_dev, stat.st_ino
