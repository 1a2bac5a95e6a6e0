"""What is kept beside collections, indexes, load state and aliases: partitions, properties, access.

Nothing here loses a row: partitions are made and never dropped, properties are set in place.
"""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.enforce.objects import KeptObject, keep_object
from kitestring.model.action import Action
from kitestring.objects.access import Grant, Role, User
from kitestring.objects.base import Session
from kitestring.objects.declare import Declared, declared_objects
from kitestring.objects.holders import Collection, Partition
from kitestring.objects.kinds import KINDS
from kitestring.spec.loaded import LoadedSpec

SCHEMA, ACCESS = "schema.drift", "access.drift"
_ACCESS = (Role.name, Grant.name, User.name)  # a grant needs its role, a user its roles


def definition_steps(loaded: LoadedSpec, session: Session) -> list[Action]:
    """The steps that partitions, properties, roles, grants and users call for.

    Of collections that the server does not have there are none: they are made whole.

    Raises:
        SecretMissing: the password of a user of the spec can't be had.
        MilvusError: the server could not be asked.
    """
    return [
        step for one in _declared(loaded) for step in _steps(loaded, one, session, dry_run=True)
    ]


def keep_definitions(loaded: LoadedSpec, session: Session) -> list[Action]:
    """Takes those steps, and returns the ones that changed something; raises as they do."""
    return [
        step for one in _declared(loaded) for step in _steps(loaded, one, session, dry_run=False)
    ]


def _declared(loaded: LoadedSpec) -> Iterator[Declared]:
    found = list(declared_objects(loaded))
    yield from (d for d in found if d.kind in (Partition.name, Collection.name))
    for kind in _ACCESS:
        yield from (d for d in found if d.kind == kind)


def _steps(
    loaded: LoadedSpec, one: Declared, session: Session, *, dry_run: bool
) -> Iterator[Action]:
    cluster = loaded.spec.cluster.name
    if one.kind == Collection.name:
        yield from _properties(cluster, one, session, dry_run=dry_run)
    elif one.kind == Partition.name:
        name = str(one.props["collection"])
        if session.server(one.props["database"]).has_collection(name):
            kept = keep_object(loaded, one.kind, one.props, session=session, dry_run=dry_run)
            subject = f"{cluster}/{name}/partition/{one.props['name']}"
            yield from _told("create-partition", subject, SCHEMA, kept)
    else:
        kept = keep_object(loaded, one.kind, one.props, session=session, dry_run=dry_run)
        name = one.props["role" if one.kind == Grant.name else "name"]
        subject = f"{cluster}/access/{one.kind}/{name}"
        yield from _told(f"keep-{one.kind}", subject, ACCESS, kept)


def _properties(
    cluster: str, one: Declared, session: Session, *, dry_run: bool
) -> Iterator[Action]:
    kind = KINDS[one.kind]
    found = kind.find(session, one.props)
    if found is None:
        return
    differing = [d for d in kind.differences(one.props, found) if d.what.startswith("properties.")]
    if differing and not dry_run:
        kind.change(session, one.props, found, differing)
    for d in differing:
        key = d.what.partition(".")[2]
        subject = f"{cluster}/{one.props['name']}/property/{key}"
        yield Action("set-property", subject, str(d), d.found, d.wanted, SCHEMA)


def _told(what: str, subject: str, check: str, kept: KeptObject) -> Iterator[Action]:
    if kept.changed:
        before, after = (_shown(props) for props in (kept.before, kept.after))
        yield Action(what, subject, "; ".join(kept.differences), before, after, check)


def _shown(props: object) -> str:
    if not isinstance(props, dict):
        return "absent"
    return ", ".join(f"{k}: {v}" for k, v in sorted(props.items()) if k != "name") or "present"
