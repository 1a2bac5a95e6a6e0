"""What a kind of object has to know, and the life that all kinds share.

An object's properties are plain values (`Props`): what a spec wants of it, and, in the same form,
what the server has. Comparing the two is pure; only `find`, `make`, `change` and `drop` talk to
the server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from kitestring.clients.milvus.protocol import Milvus, MilvusAdmin
from kitestring.errors import ProvisionRefused

Props = Mapping[str, Any]
ALLOW, ADOPT = "allow_data_loss", "adopt"  # keys of the stack's configuration
GENERATION = "generation"  # computed: tells a collection from one of the same name before it
OF = "of"  # the generation of the collection that an object belongs to


class Server(Milvus, Protocol):
    """A connection with its administration."""

    @property
    def admin(self) -> MilvusAdmin: ...


class Session(Protocol):
    """How the kinds reach the server during one run of the engine."""

    allowed: frozenset[str]  # ids whose rows may be lost
    adopted: frozenset[str]  # ids that are taken over although they differ

    def server(self, database: str = "default") -> Server: ...
    def has_database(self, name: str) -> bool: ...
    def password(self, reference: Props) -> str:
        """Raises SecretMissing."""
        ...

    def login(self, user: str, password: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that is not as wanted."""

    what: str  # the property of the resource
    wanted: str
    found: str
    replaces: bool = False  # the object has to be dropped and made anew
    adds: bool = False  # mending it takes nothing away

    def __str__(self) -> str:
        return f"{self.what} is {self.found}, not {self.wanted}"


class Kind(ABC):
    """One kind of object inside Milvus."""

    name: ClassVar[str]
    key: ClassVar[tuple[str, ...]]  # the properties that make up the id, in their order

    def identity(self, props: Props) -> str:
        """The id: `database/collection/…`."""
        return "/".join(str(props[part]) for part in self.key)

    def parse(self, identity: str) -> dict[str, Any]:
        """The properties that an id stands for.

        Raises:
            ProvisionRefused: it is no id of this kind.
        """
        parts = identity.split("/")
        if len(parts) != len(self.key) or not all(parts):
            raise ProvisionRefused(
                f"`{identity}` is no id of a {self.name}",
                hint="an id is " + "/".join(part.upper() for part in self.key),
            )
        return dict(zip(self.key, parts, strict=True))

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        """(property, what is wrong with it), from the values alone."""
        for part in self.key:
            value = props.get(part)
            if not isinstance(value, str) or not value:
                yield part, "it has to be a name"

    def settle(  # noqa: B027 - most kinds compute nothing
        self, session: Session, old: Props, new: dict[str, Any]
    ) -> None:
        """Fills in what is computed of `new` before it is compared with `old`."""

    @abstractmethod
    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        """What is not as wanted. Pure."""

    @abstractmethod
    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        """What the server has, in the form of `wanted`, and equal to it where that makes no
        difference; None where it has no such object."""

    @abstractmethod
    def make(self, session: Session, wanted: Props) -> None: ...

    @abstractmethod
    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        """Changes in place what `differences` (none of which replaces) names."""

    def refuse(  # noqa: B027 - most servers can change what their kinds can
        self, session: Session, wanted: Props, differences: Sequence[Difference]
    ) -> None:
        """Raises MilvusError where the server, by its version, can't change in place what
        `differences` (none of which replaces) names."""

    def missing(self, session: Session, wanted: Props) -> str:
        """What has to be on the server before this can be made or changed, and is not."""
        return ""

    def another(self, meant: Props, found: Props) -> str:
        """Why what is there under the id is not what is `meant` to be dropped, in words; empty
        where it is."""
        return ""

    @abstractmethod
    def drop(self, session: Session, props: Props) -> None:
        """Drops it; does nothing where it is gone."""

    def rows(self, session: Session, props: Props) -> int:
        """Rows that would be lost by dropping it."""
        return 0

    def leftovers(self, old: Props, new: Props) -> list[Difference]:
        """What `old` had and `new` does not name any longer, and `find` therefore leaves out."""
        return []

    def computed(self, session: Session, props: Props) -> dict[str, str]:
        """Properties that only the server knows."""
        return {}

    def effect(self, differences: Sequence[Difference]) -> str:
        """What users of the server notice of a change in place; empty for nothing."""
        return ""


def refuse_missing(kind: Kind, session: Session, wanted: Props) -> None:
    """Raises ProvisionRefused where something is missing; nothing was touched then."""
    if missing := kind.missing(session, wanted):
        raise ProvisionRefused(
            missing, hint="make that first, or correct its name", subject=kind.identity(wanted)
        )


def no_database(session: Session, name: str) -> str:
    """That it is not there; empty where it is."""
    return "" if session.has_database(name) else f"there is no database `{name}`"


def no_collection(session: Session, database: str, name: str) -> str:
    """That it, or its database, is not there; empty where it is."""
    if gone := no_database(session, database):
        return gone
    there = session.server(database).has_collection(name)
    return "" if there else f"there is no collection `{name}`"


def common(props: Props) -> dict[str, Any]:
    """The properties that every resource has."""
    return {key: props[key] for key in ("connection", "database") if key in props}


def moved(kind: Kind, wanted: Props, found: Props) -> list[Difference]:
    """A part of the id that changes makes another object."""
    return [
        Difference(part, str(wanted[part]), str(found.get(part)), replaces=True)
        for part in kind.key
        if wanted[part] != found.get(part)
    ]
