"""What the engine asks of every resource: check, diff, create, read, update, delete."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kitestring.clients.milvus.way import way_from
from kitestring.errors import KitestringError, ProvisionRefused, ServerUnreachable
from kitestring.objects.base import (
    ADOPT,
    ALLOW,
    GENERATION,
    OF,
    Difference,
    Kind,
    Props,
    Session,
)
from kitestring.provision.readable import said

EFFECT = "effect"  # computed: what the last change in place meant for users
COMPUTED = frozenset({GENERATION})  # outputs that are no inputs
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # the engine's value for: known after the update


@dataclass(frozen=True, slots=True)
class Diff:
    changed: bool
    replaces: tuple[str, ...] = ()


def check(
    kind: Kind, session: Session, old: Props, new: Props
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The inputs to go on with, and what is wrong with them. Called by every preview.

    A replacement that would lose rows is refused here, when nothing has been touched yet.
    """
    wanted = {k: v for k, v in new.items() if k != EFFECT and v is not None}
    problems = [*_way_problems(wanted), *kind.problems(wanted)]
    if problems:
        return wanted, problems
    try:
        kind.settle(session, old, wanted)
        problems += guard(kind, session, old, wanted)
        changed = kind.differences(wanted, old) if old else []
        if not any(d.replaces for d in changed):
            with suppress(ServerUnreachable):  # the update itself will say so
                kind.refuse(session, wanted, changed)
    except KitestringError as error:
        return wanted, [(kind.key[-1], said(error))]
    effect = kind.effect(changed) if changed else str(old.get(EFFECT, ""))
    return wanted | ({EFFECT: effect} if effect else {}), problems


def guard(kind: Kind, session: Session, old: Props, wanted: Props) -> list[tuple[str, str]]:
    """Why a replacement is refused; empty where there is none, or nothing to lose."""
    if not old:
        return []
    replacing = [d for d in kind.differences(wanted, old) if d.replaces]
    identity = kind.identity(old)
    if not replacing or identity in session.allowed:
        return []
    try:
        rows = kind.rows(session, old)
    except ServerUnreachable as error:
        held = f"whether `{identity}` holds rows can't be seen: {error.message}"
    else:
        if not rows:
            return []
        held = f"`{identity}` holds {rows} rows, which would be lost"
    what = "; ".join(str(d) for d in replacing)
    return [
        (
            replacing[0].what,
            f"{held}: Milvus can't change it in place ({what}). Make a {kind.name} of another "
            f"name, ingest into it and move the alias; or have it dropped: {allow(identity)}",
        )
    ]


def diff(kind: Kind, old: Props, new: Props) -> Diff:
    """Whether an update is called for. Pure. `old` is the state, after a refresh what is there."""
    found = kind.differences(new, old)
    # the state must lead to the server, and to the collection that is there now
    moved = any(old.get(k) != new.get(k) != UNKNOWN for k in ("connection", OF))
    return Diff(bool(found) or moved, tuple(dict.fromkeys(d.what for d in found if d.replaces)))


def create(kind: Kind, session: Session, wanted: Props) -> tuple[str, dict[str, Any]]:
    """Makes it, or adopts what is there and equal.

    Raises:
        ProvisionRefused: something else of that name is there.
    """
    identity = kind.identity(wanted)
    found = kind.find(session, wanted)
    if found is None:
        kind.make(session, wanted)
        return identity, {**wanted, **kind.computed(session, wanted)}
    differences = kind.differences(wanted, found)
    if differences:
        replacing = [d for d in differences if d.replaces]
        if replacing or not (identity in session.adopted or all(d.adds for d in differences)):
            raise _exists(kind, identity, replacing or differences, bool(replacing))
        kind.change(session, wanted, found, differences)
    return identity, {**wanted, **kind.computed(session, wanted)}


def _exists(
    kind: Kind, identity: str, differences: list[Difference], replacing: bool
) -> ProvisionRefused:
    named = "; ".join(str(d) for d in differences)
    return ProvisionRefused(
        f"a {kind.name} `{identity}` is on the server already, and it differs: {named}",
        hint="write the spec as the server has it (`kitestring spec adopt` does)"
        if replacing
        else "write the spec as the server has it (`kitestring spec adopt` does), or take it over "
        f"and have it changed: pulumi config set --path '{ADOPT}[0]' {identity}",
        subject=identity,
    )


def read(kind: Kind, session: Session, identity: str, known: Props) -> dict[str, Any] | None:
    """What the server has now, in the form of the inputs; None where it is gone."""
    props = dict(known) if set(kind.key) <= set(known) else {**known, **kind.parse(identity)}
    found = kind.find(session, props)
    if found is None:
        return None
    kept = {k: v for k, v in props.items() if k in ("connection", OF, EFFECT)}
    return kept | found | kind.computed(session, found)


def update(kind: Kind, session: Session, old: Props, new: Props) -> dict[str, Any]:
    """Changes in place what differs on the server; makes it anew where it is gone.

    Raises:
        ProvisionRefused: what is there now can't be changed in place.
    """
    found = kind.find(session, new)
    if found is None:
        kind.make(session, new)
        return {**new, **kind.computed(session, new)}
    differences = [*kind.differences(new, found), *kind.leftovers(old, new)]
    replacing = [d for d in differences if d.replaces]
    if replacing:
        raise _exists(kind, kind.identity(new), replacing, True)
    if differences:
        kind.change(session, new, found, differences)
    return {**new, **kind.computed(session, new)}


def delete(kind: Kind, session: Session, props: Props) -> None:
    """Drops it.

    Raises:
        ProvisionRefused: it holds rows, and the stack does not allow that they are lost.
    """
    identity = kind.identity(props)
    if identity not in session.allowed and (rows := kind.rows(session, props)):
        raise ProvisionRefused(
            f"the {kind.name} `{identity}` holds {rows} rows: it is not dropped",
            hint=f"to lose them: {allow(identity)}",
            subject=identity,
        )
    kind.drop(session, props)


def allow(identity: str) -> str:
    """The command that lets a stack lose the rows of one object."""
    return f"pulumi config set --path '{ALLOW}[0]' {identity}"


def _way_problems(props: Props) -> list[tuple[str, str]]:
    try:
        way_from(dict(props.get("connection") or {}))
    except ValueError as error:
        return [("connection", str(error))]
    return []
