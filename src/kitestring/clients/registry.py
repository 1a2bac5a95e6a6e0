"""Changes the registry of re-embeddings, which is there whole or not at all."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable

from kitestring.clients.textfile import STATE_HINT, unwritten, write_whole
from kitestring.model.codec import to_plain
from kitestring.model.registry import Registry
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.registry import read_registry, registry_file


def change_registry(loaded: LoadedSpec, change: Callable[[Registry], Registry]) -> None:
    """Puts `change(registry)` in place of the registry; processes that do so wait for each other.

    Raises:
        StoreFull, StoreError: it could not be written; the old one stays.
        RegistryUnreadable: there is one, and it is damaged.
    """
    path = registry_file(loaded)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("a")
    except OSError as error:
        raise unwritten(path, error, STATE_HINT) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = change(read_registry(loaded))
        write_whole(path, json.dumps(to_plain(changed), indent=2) + "\n")
