"""Puts a restored collection in the place of the one that it replaces.

The old one is renamed, not dropped, until the new one stands in its place; at every step there is
a way back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from kitestring.backup.interrupts import shielded
from kitestring.backup.restore.naming import REPLACED, beside, left_beside
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MilvusError


def take_place(milvus: Milvus, new: str, name: str, aliases: tuple[str, ...]) -> Iterator[str]:
    """`new` becomes `name`, with the aliases of the old one, which is dropped.

    Args:
        aliases: that the backup knows of; the old one's own list may be stale.

    Yields what could not be done once the new collection stands, in words.

    Raises:
        MilvusError: the old collection stands as before, and `new` still exists.
    """
    old = beside(name, REPLACED)
    left = left_beside(milvus, name, REPLACED)  # by a restore that was killed here
    known = sorted({*milvus.describe(name).aliases, *aliases})
    held = [alias for alias in known if milvus.alias_owner(alias) in (name, *left)]
    moved: list[str] = []
    with shielded():
        milvus.rename_collection(name, old)
        try:
            milvus.rename_collection(new, name)
            for alias in held:
                milvus.move_alias(name, alias)
                moved.append(alias)
        except MilvusError:
            _put_back(milvus, new, name, old, moved)
            raise
        try:
            milvus.drop_collection(old)
        except MilvusError as error:
            yield f"the collection that `{name}` replaced is left as `{old}`: {error.message}"


def put_back(milvus: Milvus, name: str) -> str:
    """Gives a collection its name back that a restore was killed at replacing; what was done, in
    words."""
    left = left_beside(milvus, name, REPLACED)
    if not left or milvus.has_collection(name):
        return ""
    milvus.rename_collection(left[-1], name)
    return f"`{left[-1]}`, which a restore that was killed was replacing, is `{name}` again"


def _put_back(milvus: Milvus, new: str, name: str, old: str, moved: list[str]) -> None:
    if milvus.has_collection(name) and milvus.alias_owner(name) is None:
        with suppress(MilvusError):
            milvus.rename_collection(name, new)
    milvus.rename_collection(old, name)
    for alias in moved:
        with suppress(MilvusError):
            milvus.move_alias(name, alias)
