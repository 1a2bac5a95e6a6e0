"""What of a stack holds rows, as one resource that stands behind all the others.

The engine asks no provider before it plans to delete: it would say so only when aliases and
indexes are gone already. This resource is compared in every preview, and so refuses there to drop
what holds rows; and since it depends on everything else, it is the first one that `pulumi destroy`
has to delete, and refuses before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from kitestring.errors import ProvisionRefused
from kitestring.objects.base import Difference, Kind, Props, Session
from kitestring.objects.kinds import HOLDERS
from kitestring.provision.objects.lifecycle import allow


class Inventory(Kind):
    """`holds` lists `kind:id` of what holds rows."""

    name: ClassVar[str] = "inventory"
    key: ClassVar[tuple[str, ...]] = ("name",)

    def settle(self, session: Session, old: Props, new: dict[str, Any]) -> None:
        kept = set(new.get("holds") or ())
        lost = refusals(session, [h for h in old.get("holds") or () if h not in kept])
        if lost:
            raise ProvisionRefused(
                "the spec no longer has what holds rows:\n  " + "\n  ".join(lost),
                hint="put it back into the spec; or keep it on the server without the stack: "
                "pulumi state delete URN",
            )

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        expected, there = set(wanted.get("holds") or ()), set(found.get("holds") or ())
        gone = [Difference("holds", "absent", h) for h in sorted(there - expected)]
        return [Difference("holds", h, "absent") for h in sorted(expected - there)] + gone

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        return {k: v for k, v in wanted.items() if k in ("name", "holds")}

    def make(self, session: Session, wanted: Props) -> None:
        """It is only in the state."""

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        """It is only in the state."""

    def drop(self, session: Session, props: Props) -> None:
        lost = refusals(session, props.get("holds") or ())
        if lost:
            raise ProvisionRefused(
                "nothing was touched: rows would be lost:\n  " + "\n  ".join(lost),
                hint="to keep them on the server and forget them here: pulumi state delete URN",
            )


def refusals(session: Session, holds: Iterable[str]) -> list[str]:
    """What can't be dropped, and how it could be."""
    found = []
    for entry in holds:
        name, _, identity = entry.partition(":")
        kind = HOLDERS[name]
        if identity in session.allowed:
            continue
        if rows := kind.rows(session, kind.parse(identity)):
            found.append(
                f"the {name} `{identity}` holds {rows} rows; to lose them: {allow(identity)}"
            )
    return found
