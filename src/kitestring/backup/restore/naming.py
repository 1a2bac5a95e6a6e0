"""Under which names collections are restored, and whether they are free."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import RestoreRefused, UsageError
from kitestring.model.backup import CollectionBackup
from kitestring.spec.types import NAME, PATTERN_TEXTS

_LONGEST = 230  # characters of a name that something is put behind


@dataclass(frozen=True, slots=True)
class Names:
    """Names on the target by names in the backup."""

    final: Mapping[str, str]
    made: Mapping[str, str]  # under which they are restored: others where one is replaced

    @property
    def replaced(self) -> dict[str, str]:
        """Names of collections that give way -> names of those that take their place."""
        return {
            name: self.made[backed_up]
            for backed_up, name in self.final.items()
            if self.made[backed_up] != name
        }


def names_for(
    milvus: Milvus | None,
    wanted: Sequence[CollectionBackup],
    *,
    rename: Mapping[str, str],
    prefix: str,
    overwrite: bool,
) -> Names:
    """The names, once it is sure that they can be taken. Changes nothing.

    Args:
        milvus: None where nothing is there: the database has to be created.

    Raises:
        UsageError: a name is none that Milvus takes.
        RestoreRefused: two collections would get one name, or a name is taken.
    """
    final = {c.name: rename.get(c.name, prefix + c.name) for c in wanted}
    for name in final.values():
        check_name("collection", name)
    twice = sorted({n for n in final.values() if list(final.values()).count(n) > 1})
    if twice:
        raise RestoreRefused(f"two collections would both be restored as `{twice[0]}`")
    made = dict(final)
    for backed_up, name in final.items():
        if milvus is not None and _taken(milvus, name, overwrite):
            made[backed_up] = beside(name, "restoring")
    return Names(final, made)


def check_name(what: str, name: str) -> None:
    """Raises UsageError for a name that Milvus takes for no collection and no database."""
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"`{name}` can't be the name of a {what}", hint=f"it takes {PATTERN_TEXTS[NAME]}"
        )


def beside(name: str, what: str) -> str:
    """A name of a collection that stands beside `name` for a while."""
    return f"{name[:_LONGEST]}_{what}_{secrets.token_hex(4)}"


def _taken(milvus: Milvus, name: str, overwrite: bool) -> bool:
    owner = milvus.alias_owner(name)
    if owner is not None:
        raise RestoreRefused(
            f"`{name}` is an alias of `{owner}` on the target",
            hint="restore to another name with --rename",
            subject=name,
        )
    if not milvus.has_collection(name):
        return False
    if not overwrite:
        raise RestoreRefused(
            f"the target has a collection `{name}` already; nothing was changed",
            hint="restore to another name with --rename, or replace it with --overwrite",
            subject=name,
        )
    return True
