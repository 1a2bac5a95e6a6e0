"""Under which names collections are restored, and whether they are free.

A collection is restored beside its name, and takes it once its rows are in: what a restore leaves
that is killed in the middle bears a name that nobody asks for.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import RestoreRefused, UsageError
from kitestring.model.backup import CollectionBackup
from kitestring.spec.types import NAME, PATTERN_TEXTS

RESTORING, REPLACED = "restoring", "replaced"
_LONGEST = 230  # characters of a name that something is put behind


@dataclass(frozen=True, slots=True)
class Names:
    """Names on the target by names in the backup."""

    final: Mapping[str, str]
    made: Mapping[str, str]  # under which they are restored
    replaced: Collection[str] = ()  # the final ones that somebody has, who gives way


def names_for(
    milvus: Milvus | None,
    wanted: Sequence[CollectionBackup],
    *,
    rename: Mapping[str, str],
    prefix: str,
    overwrite: bool,
    beside_first: bool = True,
) -> Names:
    """The names, once it is sure that they can be taken. Changes nothing.

    Args:
        milvus: None where nothing is there: the database has to be created.
        beside_first: restore under other names at first, even where nobody has them.

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
    replaced = {n for n in final.values() if milvus is not None and _taken(milvus, n, overwrite)}
    made = {
        backed_up: beside(name, RESTORING) if beside_first or name in replaced else name
        for backed_up, name in final.items()
    }
    return Names(final, made, replaced)


def check_name(what: str, name: str) -> None:
    """Raises UsageError for a name that Milvus takes for no collection and no database."""
    if not re.fullmatch(NAME, name):
        raise UsageError(
            f"`{name}` can't be the name of a {what}", hint=f"it takes {PATTERN_TEXTS[NAME]}"
        )


def beside(name: str, what: str) -> str:
    """A name of a collection that stands beside `name` for a while."""
    return f"{name[:_LONGEST]}_{what}_{secrets.token_hex(4)}"


def left_beside(milvus: Milvus, name: str, what: str) -> list[str]:
    """The collections that a restore of `name` which was killed has left beside it."""
    form = re.compile(re.escape(f"{name[:_LONGEST]}_{what}_") + r"[0-9a-f]{8}")
    return sorted(found for found in milvus.list_collections() if form.fullmatch(found))


def _taken(milvus: Milvus, name: str, overwrite: bool) -> bool:
    owner = milvus.alias_owner(name)
    if owner is not None:
        raise RestoreRefused(
            f"`{name}` is an alias of `{owner}` on the target",
            hint="restore to another name with --rename",
            subject=name,
        )
    if not milvus.has_collection(name):
        old = left_beside(milvus, name, REPLACED)
        if old and not overwrite:
            raise RestoreRefused(
                f"a restore was killed while it replaced `{name}`: the old collection is whole, "
                f"as `{old[0]}`",
                hint="--overwrite puts it back, and replaces it; or give it its name back, or "
                "drop it",
                subject=name,
            )
        return bool(old)
    if not overwrite:
        raise RestoreRefused(
            f"the target has a collection `{name}` already; nothing was changed",
            hint="restore to another name with --rename, or replace it with --overwrite",
            subject=name,
        )
    return True
