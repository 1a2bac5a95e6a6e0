"""Where restores put files for a server's import, below the root path of its store.

    kitestring-restore/<what>-<when, ns in hex>/owner.json   the process at work
    kitestring-restore/<what>-<when>/…                       what the server reads

What a killed restore has left is as large as what it was to restore: the next one removes it.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress

from kitestring.clients.lease import Owner, owner_lives, this_process
from kitestring.clients.store.protocol import ObjectStore, join
from kitestring.errors import KitestringError, ObjectMissing
from kitestring.model.codec import from_plain, to_plain

STAGING = "kitestring-restore"
OWNER = "owner.json"
_ABANDONED = 7 * 86400.0  # seconds after which nobody can be at work, wherever it was


def new_folder(root: str, what: str) -> str:
    """The key of a folder of its own: two restores of one backup do not meet."""
    return join(root, STAGING, f"{what}-{time.time_ns():x}")


def claim(store: ObjectStore, folder: str) -> str:
    """Says whose a folder is, before anything is put there; returns the key that says it."""
    key = join(folder, OWNER)
    store.put(key, json.dumps(to_plain(this_process())).encode())
    return key


def sweep(store: ObjectStore, root: str) -> None:
    """Removes the folders of restores that were killed: of this host at once, of others after a
    week. A store that refuses is no reason not to restore."""
    top = join(root, STAGING)
    with suppress(KitestringError):
        folders: dict[str, list[str]] = {}
        for info in store.list(f"{top}/"):
            name, _, rest = info.key.removeprefix(f"{top}/").partition("/")
            folders.setdefault(name, []).append(rest)
        for name, keys in folders.items():
            if _abandoned(store, top, name):
                # whose it is goes last: a sweep that is killed is finished by the next one
                for key in sorted(keys, key=lambda key: (key == OWNER, key)):
                    store.delete(join(top, name, key))


def _abandoned(store: ObjectStore, top: str, name: str) -> bool:
    silent = time.time() - _begun(name)
    if silent > _ABANDONED:
        return True
    try:
        owner = from_plain(Owner, json.loads(store.get(join(top, name, OWNER))))
    except (ObjectMissing, ValueError):
        return False  # of an older version, or not yet said
    return not owner_lives(owner, silent=silent, expires=_ABANDONED)


def _begun(name: str) -> float:
    """Seconds since the epoch of a folder's name; now where it is not one of ours."""
    try:
        return int(name.rpartition("-")[2], 16) / 1e9
    except ValueError:
        return time.time()
