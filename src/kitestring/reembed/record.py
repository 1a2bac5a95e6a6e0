"""Where operations are kept: one JSON file each, there whole or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kitestring.clients.exclusive import exclusive, is_held
from kitestring.clients.textfile import STATE_HINT, make_folder, write_whole
from kitestring.errors import ReembedBusy, ReembedError
from kitestring.model.codec import from_plain, to_plain
from kitestring.model.reembed import OPERATION_VERSION, Operation
from kitestring.spec.loaded import LoadedSpec

FOLDER = "reembed"


def now_ms() -> int:
    return int(time.time() * 1000)


def folder(loaded: LoadedSpec) -> Path:
    return loaded.state_dir / FOLDER


def journal_file(loaded: LoadedSpec, operation: Operation) -> Path:
    """Where the journal of an operation's copy is."""
    return folder(loaded) / f"{operation.source}.sqlite"


def save(loaded: LoadedSpec, operation: Operation, **changes: Any) -> Operation:
    """Keeps an operation, with changes, in place of what was kept of it.

    Raises:
        StoreFull, StoreError: it could not be written; the former one stays.
    """
    changed = replace(operation, updated_at=now_ms(), **changes)
    path = folder(loaded) / f"{operation.source}.json"
    make_folder(path.parent, hint=STATE_HINT)
    write_whole(path, json.dumps(to_plain(changed), indent=2) + "\n")
    return changed


def operations(loaded: LoadedSpec) -> tuple[Operation, ...]:
    """Every operation that is kept, the newest first.

    Raises:
        ReembedError: a file is damaged; it is named.
    """
    found = [_read(path) for path in sorted(folder(loaded).glob("*.json"))]
    return tuple(sorted(found, key=lambda o: -o.started_at))


def operation_for(loaded: LoadedSpec, name: str) -> Operation | None:
    """The newest operation of a collection, by its name, its shadow's, or an alias.

    Raises:
        ReembedError: a file is damaged.
    """
    collection = loaded.spec.collection(name)
    names = {name, collection.name} if collection else {name}
    for found in operations(loaded):
        if names & {found.source, found.shadow, *found.aliases}:
            return found
    return None


@contextmanager
def held(loaded: LoadedSpec, source: str) -> Iterator[None]:
    """One process at a time works at a collection's re-embedding.

    Raises:
        ReembedBusy: another does.
    """
    path = _lock(loaded, source)
    with exclusive(path, f"re-embedding of `{source}`", busy=ReembedBusy, failed=ReembedError):
        yield


def is_worked_at(loaded: LoadedSpec, source: str) -> bool:
    """Whether a process holds the collection's re-embedding."""
    return is_held(_lock(loaded, source))


def _lock(loaded: LoadedSpec, source: str) -> Path:
    return folder(loaded) / f"{source}.lock"


def _read(path: Path) -> Operation:
    try:
        data = json.loads(path.read_text("utf-8"))
        if isinstance(data, dict) and data.get("schema_version", 0) > OPERATION_VERSION:
            raise ReembedError(
                f"{path} was written by a newer kitestring",
                hint="use that one",
                subject=str(path),
            )
        return from_plain(Operation, data)
    except (OSError, ValueError) as error:
        raise ReembedError(
            f"{path} can't be read: {error}",
            hint="bring it back from a copy of the state directory; the collections are untouched",
            subject=str(path),
        ) from None
