"""One object inside Milvus kept as wanted: by the spec, by what a caller names, or both.

What the caller does not name is taken from the spec where the spec has the object; what neither
names is left as the server has it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from kitestring.clients.milvus.way import way_of
from kitestring.errors import EnforceRefused, UsageError
from kitestring.objects.access import CHECK
from kitestring.objects.base import Difference, Kind, Props, Server, Session, refuse_missing
from kitestring.objects.declare import declared_objects
from kitestring.objects.kinds import KINDS
from kitestring.objects.session import LiveSession
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import Column

_NEW = ("it was not there",)
_UNSAID = {"collection": "fields", "user": "password"}  # without which none can be made
_HIDDEN = frozenset({"connection", "password", CHECK})  # never shown


@dataclass(frozen=True, slots=True)
class KeptObject:
    """What was there, what is there now (in a dry run: would be), and what differed."""

    kind: str
    identity: str
    before: Props | None
    after: Props | None
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # without what a real run would fail; what is left alone

    @property
    def changed(self) -> bool:
        return bool(self.differences)


class SpecSession(LiveSession):
    """A session of the spec's connection.

    Args:
        connected: a connection to the spec's database that is open already.
        password: of the user that is kept.
    """

    def __init__(
        self, loaded: LoadedSpec, connected: Server | None = None, password: str | None = None
    ) -> None:
        super().__init__(way_of(loaded).plain(), frozenset(), frozenset())
        self._connected = {loaded.spec.connection.database: connected} if connected else {}
        self._given = password

    def server(self, database: str = "default") -> Server:
        return self._connected.get(database) or super().server(database)

    def password(self, reference: Props) -> str:
        if reference.get("given") and self._given is not None:
            return self._given
        return super().password(reference)


def keep_object(
    loaded: LoadedSpec,
    kind: str,
    named: Props,
    *,
    present: bool = True,
    allow_data_loss: bool = False,
    keep: Collection[str] = (),
    password: str | None = None,
    dry_run: bool = False,
    session: Session | None = None,
) -> KeptObject:
    """Makes, changes or drops one object so that it is as wanted; a second call does nothing.

    Args:
        kind: a key of `kitestring.objects.kinds.KINDS`.
        named: its properties; None stands for one that is not named. Those that make up its id
            are there, but for the database: the connection's where it is left out.
        present: False drops it; an alias that leads to another collection than the one that is
            named is left, with a warning.
        allow_data_loss: an object that holds rows may be dropped, or made anew.
        keep: properties that are left as they are on an object that is there.
        password: of a user; never kept or shown.

    Raises:
        UsageError: a property is wrong or missing.
        EnforceRefused: rows would be lost.
        MilvusError, LocalNotRunning, SecretMissing: the server could not be asked, or refused.
    """
    one = KINDS[kind]
    given = {k: v for k, v in named.items() if v is not None}
    if "database" in one.key:
        given.setdefault("database", loaded.spec.connection.database)
    if "fields" in given:
        given["fields"] = _fields(given["fields"])
    if password is not None:
        given["password"] = {"given": True}
    session = session or SpecSession(loaded, password=password)
    wanted = with_declared(loaded, one, given)
    found = one.find(session, wanted)
    if not present:
        if found and (why := one.another(given, found)):
            left = _shown(found)
            return KeptObject(kind, one.identity(wanted), left, left, (), (f"{why}: it is left",))
        return _absent(one, session, found, one.identity(wanted), allow_data_loss, dry_run)
    if found is None:
        return _made(one, session, wanted, dry_run)
    wanted = {k: v for k, v in wanted.items() if k not in keep}
    _refuse_wrong(one, wanted, wanted)
    return _kept(one, session, wanted, found, allow_data_loss, dry_run)


def with_declared(loaded: LoadedSpec, kind: Kind, given: Props) -> dict[str, Any]:
    """What is given of an object, over what the spec declares of it."""
    if "connection" in given:  # what comes from the declaration already is whole
        return dict(given)
    return {**_declared(loaded, kind, given), **given}


def _made(kind: Kind, session: Session, wanted: dict[str, Any], dry_run: bool) -> KeptObject:
    identity = kind.identity(wanted)
    unsaid = _UNSAID.get(kind.name, "")
    if unsaid in wanted or not unsaid:
        _refuse_wrong(kind, wanted)
        warnings = _ready(kind, session, wanted, dry_run)
    else:
        said = f"there is no {kind.name} `{identity}`, and nothing says its `{unsaid}`"
        if not dry_run:
            hint = f"give its `{unsaid}`, or write it into the spec"
            raise UsageError(said, hint=hint, subject=identity)
        _refuse_wrong(kind, wanted, dict.fromkeys(kind.key))
        # of a whole play, a task before this one may be going to make it
        return KeptObject(kind.name, identity, None, _shown(wanted), _NEW, (said,))
    if kind.name == "load state":  # foretold of a collection that is not there yet
        wanted.setdefault("replicas", 1)
    kind.settle(session, {}, wanted)
    if not dry_run:
        kind.make(session, wanted)
    return KeptObject(kind.name, identity, None, _shown(wanted), _NEW, warnings)


def _kept(
    kind: Kind,
    session: Session,
    named: dict[str, Any],
    found: dict[str, Any],
    allow_data_loss: bool,
    dry_run: bool,
) -> KeptObject:
    wanted = dict(named)
    kind.settle(session, {}, wanted)
    if wanted != named:  # what was computed is compared with, too
        found = kind.find(session, wanted) or {}
    wanted = {**found, **wanted}
    differences = kind.differences(wanted, found)
    replacing = [d for d in differences if d.replaces]
    if replacing and not allow_data_loss:
        _refuse_loss(kind, session, found, replacing)
    warnings = _ready(kind, session, wanted, dry_run) if differences else ()
    if differences and not replacing:
        kind.refuse(session, wanted, differences)
    if not dry_run and replacing:
        kind.drop(session, found)
        kind.make(session, wanted)
    elif not dry_run and differences:
        kind.change(session, wanted, found, differences)
    after = wanted if differences else found
    said = tuple(str(d) for d in differences)
    return KeptObject(
        kind.name, kind.identity(wanted), _shown(found), _shown(after), said, warnings
    )


def _ready(kind: Kind, session: Session, wanted: Props, dry_run: bool) -> tuple[str, ...]:
    """What is missing on the server: refused, or in a dry run only told, because a task before
    this one may be going to make it."""
    if not dry_run:
        refuse_missing(kind, session, wanted)
        return ()
    missing = kind.missing(session, wanted)
    return (missing,) if missing else ()


def _absent(
    kind: Kind,
    session: Session,
    found: dict[str, Any] | None,
    identity: str,
    allow_data_loss: bool,
    dry_run: bool,
) -> KeptObject:
    if found is None:
        return KeptObject(kind.name, identity, None, None)
    _refuse_wrong(kind, found, dict.fromkeys(kind.key))  # such as the role `admin`
    if not allow_data_loss:
        _refuse_loss(kind, session, found, [])
    if not dry_run:
        kind.drop(session, found)
    return KeptObject(kind.name, identity, _shown(found), None, ("it was there",))


def _refuse_loss(
    kind: Kind, session: Session, found: Props, replacing: Sequence[Difference]
) -> None:
    rows = kind.rows(session, found)
    if rows:
        identity = kind.identity(found)
        why = "; ".join(str(d) for d in replacing)
        raise EnforceRefused(
            f"the {kind.name} `{identity}` holds {rows:,} rows, which would be lost"
            + (f": Milvus can't change it in place ({why})" if why else ""),
            hint=f"make a {kind.name} of another name and move the alias, or say "
            "`allow_data_loss: true`",
            subject=identity,
        )


def _refuse_wrong(kind: Kind, wanted: Props, named: Props | None = None) -> None:
    """Refuses what is wrong; what is only missing is no fault of an object that is there."""
    problems = [
        f"`{what}`: {why}" for what, why in kind.problems(wanted) if named is None or what in named
    ]
    if problems:
        raise UsageError("; ".join(problems), hint="correct it, or write it into the spec")


def _fields(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fields as resources have them: without what is left at its default."""
    try:
        columns = [Column.model_validate(dict(one)) for one in given]
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise UsageError(
            f"`fields`: {where}: {fault['msg']}", hint="docs/reference/spec.md tells of `columns`"
        ) from None
    return [one.model_dump(exclude_defaults=True) for one in columns]


def _declared(loaded: LoadedSpec, kind: Kind, given: Props) -> dict[str, Any]:
    """The spec's properties of the object; the connection alone where the spec does not have it."""
    for one in declared_objects(loaded):
        if one.kind == kind.name and all(one.props[k] == given.get(k) for k in kind.key):
            return dict(one.props)
    return {"connection": way_of(loaded).plain()}


def _shown(props: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in props.items() if k not in _HIDDEN}
