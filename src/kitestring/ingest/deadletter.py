"""The dead letters of a collection: `<state>/dead-letters/<collection>.jsonl`, a line each.

What is parked is told here and tried again by the next ingestion because the ledger says that its
document is not wholly written: losing this file loses a report and no row.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kitestring.clients.textfile import write_whole
from kitestring.errors import IngestError
from kitestring.model.codec import from_plain, to_plain
from kitestring.model.letters import DeadLetter
from kitestring.spec.loaded import LoadedSpec

FOLDER = "dead-letters"
_Place = tuple[str, str, int | None]


class DeadLetters:
    """Those of one collection: what was parked before, and what this run parks or clears."""

    def __init__(self, known: Iterable[DeadLetter] = ()) -> None:
        self._letters = {_place(letter): letter for letter in known}
        self._before = dict(self._letters)
        self._tried: set[tuple[str, str]] = set()
        self._parked: list[DeadLetter] = []

    def park(
        self,
        tenant: str,
        document: str,
        chunk: int | None,
        reason: str,
        *,
        hint: str = "",
        path: Path | None = None,
    ) -> None:
        """Parks a passage or a document; its earlier attempts count on."""
        now = int(time.time() * 1000)
        old = self._before.get((tenant, document, chunk))
        letter = DeadLetter(
            tenant=tenant,
            document=document,
            chunk=chunk,
            reason=reason,
            attempts=old.attempts + 1 if old else 1,
            first_at=old.first_at if old else now,
            last_at=now,
            path=str(path.absolute()) if path else "",
            hint=hint,
        )
        self.clear(tenant, document)
        self._letters[_place(letter)] = letter
        self._parked.append(letter)

    def clear(self, tenant: str, document: str) -> None:
        """Forgets what earlier runs parked of a document that was tried anew."""
        if (tenant, document) in self._tried:
            return
        self._tried.add((tenant, document))
        for place in [p for p in self._letters if p[:2] == (tenant, document)]:
            del self._letters[place]

    def drop_missing(self, tenant: str, folders: Iterable[Path]) -> None:
        """Forgets documents below `folders` whose file is not there any more."""
        tops = [folder.absolute() for folder in folders]
        for place, letter in list(self._letters.items()):
            file = Path(letter.path)
            if (
                letter.tenant == tenant
                and letter.path
                and any(file.is_relative_to(top) for top in tops)
                and not file.exists()
                and not file.is_symlink()  # a link to nothing is parked as such
            ):
                del self._letters[place]

    @property
    def parked(self) -> tuple[DeadLetter, ...]:
        """What this run parked."""
        return tuple(self._parked)

    @property
    def documents(self) -> set[str]:
        """Documents of which this run parked something."""
        return {letter.document for letter in self._parked}

    @property
    def all(self) -> tuple[DeadLetter, ...]:
        """Everything that is parked, by document and chunk."""
        listed = sorted(
            self._letters.values(),
            key=lambda x: (x.tenant, x.document, -1 if x.chunk is None else x.chunk),
        )
        return tuple(listed)


def letters_file(loaded: LoadedSpec, collection: str) -> Path:
    """Where the dead letters of a collection are."""
    return loaded.state_dir / FOLDER / f"{collection}.jsonl"


def read_letters(file: Path) -> tuple[DeadLetter, ...]:
    """The dead letters in a file; none where there is no file.

    Raises:
        IngestError: a line is none; the message names it.
    """
    try:
        # not `splitlines`: JSON leaves U+2028 and U+0085 as they are
        lines = file.read_text("utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, 1, str(error)) from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(from_plain(DeadLetter, json.loads(line)))
        except (ValueError, TypeError) as error:
            raise _unreadable(file, number, str(error)) from None
    return tuple(found)


def count_letters(loaded: LoadedSpec) -> dict[str, int]:
    """Collections of the spec with dead letters -> how many; a file that can't be read has none."""
    found = {}
    for collection in loaded.spec.collections:
        try:
            text = letters_file(loaded, collection.name).read_bytes()
        except OSError:
            continue
        found[collection.name] = text.count(b"\n")
    return found


@contextmanager
def dead_letters(file: Path) -> Iterator[DeadLetters]:
    """The dead letters in a file; what became of them is written at the end, whatever ends it.

    Raises:
        IngestError: the file is damaged.
    """
    letters = DeadLetters(read_letters(file))
    before = letters.all
    try:
        yield letters
    finally:
        after = letters.all
        if not after:
            file.unlink(missing_ok=True)
        elif after != before:
            file.parent.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps(to_plain(letter), ensure_ascii=False) for letter in after]
            write_whole(file, "\n".join(lines) + "\n")


def _place(letter: DeadLetter) -> _Place:
    return letter.tenant, letter.document, letter.chunk


def _unreadable(file: Path, line: int, why: str) -> IngestError:
    return IngestError(
        f"{file}:{line}: no dead letter: {why}",
        hint="move the file away: what it lists is tried again by the ledger anyway",
        subject=str(file),
    )
