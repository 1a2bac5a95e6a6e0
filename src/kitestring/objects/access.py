"""Users, roles and what roles may do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from kitestring.errors import KubernetesError, MilvusError, ProvisionRefused, SecretMissing
from kitestring.model.access import Privilege
from kitestring.objects.base import (
    Difference,
    Kind,
    Props,
    Session,
    common,
    moved,
    no_database,
    refuse_missing,
)

CHECK = "password_check"  # a salted hash: all that the state knows of a password
BUILT_IN = ("admin", "public")
_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class User(Kind):
    """A user, the roles that it has, and a password that is read where it is needed."""

    name: ClassVar[str] = "user"
    key: ClassVar[tuple[str, ...]] = ("name",)

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        if props.get("name") == "root":
            yield "name", "`root` is always there: it is no resource"
        if not isinstance(props.get("password"), dict):
            yield "password", "name `env`, `file` or `secret`: a password is never given itself"

    def settle(self, session: Session, old: Props, new: dict[str, Any]) -> None:
        """The hash of the password of now; the old one as long as the password is the same."""
        if "password" not in new:
            return
        before = str(old.get(CHECK) or "")
        try:
            password = session.password(new["password"])
        except (SecretMissing, KubernetesError):
            if "secret" not in new["password"]:
                raise
            new[CHECK] = before  # the cluster that keeps it may not be there yet
            return
        new[CHECK] = before if verifies(password, before) else hashed(password)

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        differences = moved(self, wanted, found)
        if wanted.get(CHECK) != found.get(CHECK):
            differences.append(Difference("password", "that of the secret", "another"))
        expected, there = set(wanted.get("roles") or ()), set(found.get("roles") or ())
        if expected != there:
            differences.append(
                Difference("roles", _listed(expected), _listed(there), adds=expected > there)
            )
        return differences

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        name = wanted["name"]
        admin = session.server().admin
        roles = admin.roles_of(name) if name in admin.list_users() else None
        if roles is None:
            return None
        given = list(wanted.get("roles") or ())
        found = common(wanted) | {"name": name, "password": wanted.get("password")}
        found["roles"] = given if set(given) == set(roles) else list(roles)
        found[CHECK] = wanted.get(CHECK, "") if self._works(session, wanted) else ""
        return found

    def make(self, session: Session, wanted: Props) -> None:
        admin, name = session.server().admin, wanted["name"]
        refuse_missing(self, session, wanted)
        admin.create_user(name, session.password(wanted["password"]))
        for role in wanted.get("roles") or ():
            admin.give_role(name, role)

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        admin, name = session.server().admin, wanted["name"]
        refuse_missing(self, session, wanted)
        if any(d.what == "password" for d in differences):
            password = session.password(wanted["password"])
            try:  # a superuser of newer servers need not know the old one
                admin.change_password(name, password, password)
            except MilvusError as error:
                # a server looks at the new one first: what it refuses, it would not create either
                if "old password" not in error.message.lower():
                    raise
                admin.drop_user(name)
                admin.create_user(name, password)
        expected, there = set(wanted.get("roles") or ()), set(admin.roles_of(name) or ())
        for role in sorted(expected - there):
            admin.give_role(name, role)
        for role in sorted(there - expected):
            admin.take_role(name, role)

    def missing(self, session: Session, wanted: Props) -> str:
        roles = set(wanted.get("roles") or ())
        unknown = roles - set(session.server().admin.list_roles()) if roles else set()
        return f"there is no role {_listed(f'`{r}`' for r in unknown)}" if unknown else ""

    def drop(self, session: Session, props: Props) -> None:
        session.server().admin.drop_user(props["name"])

    def _works(self, session: Session, wanted: Props) -> bool:
        """Whether the password is still the user's. True where that can't be tried."""
        try:
            password = session.password(wanted["password"])
        except (SecretMissing, KubernetesError, KeyError):
            return True
        return session.login(wanted["name"], password)


class Role(Kind):
    """A role. What it may do is a resource of its own."""

    name: ClassVar[str] = "role"
    key: ClassVar[tuple[str, ...]] = ("name",)

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        if props.get("name") in BUILT_IN:
            yield "name", f"`{props['name']}` is always there: it is no resource"

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        return moved(self, wanted, found)

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        there = wanted["name"] in session.server().admin.list_roles()
        return {"name": wanted["name"]} if there else None

    def make(self, session: Session, wanted: Props) -> None:
        session.server().admin.create_role(wanted["name"])

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        """There is nothing about a role that could change."""

    def drop(self, session: Session, props: Props) -> None:
        if self.find(session, props) is not None:
            session.server().admin.drop_role(props["name"])


class Grant(Kind):
    """All that a role may do in one database; what is not named is taken away."""

    name: ClassVar[str] = "grant"
    key: ClassVar[tuple[str, ...]] = ("database", "role")

    def problems(self, props: Props) -> Iterator[tuple[str, str]]:
        yield from super().problems(props)
        try:
            privileges_from(props.get("grants") or ())
        except (TypeError, KeyError) as error:
            yield "grants", f"each grant has an `object`, a `name` and `privileges`: {error}"

    def differences(self, wanted: Props, found: Props) -> list[Difference]:
        if changed := moved(self, wanted, found):
            return changed
        expected = privileges_from(wanted.get("grants") or ())
        there = privileges_from(found.get("grants") or ())
        missing = [Difference("grants", str(p), "absent", adds=True) for p in expected - there]
        extra = [Difference("grants", "absent", str(p)) for p in there - expected]
        return sorted(missing + extra, key=str)

    def find(self, session: Session, wanted: Props) -> dict[str, Any] | None:
        if not session.has_database(wanted["database"]):
            return None
        admin = session.server(wanted["database"]).admin
        if wanted["role"] not in admin.list_roles():
            return None
        there = admin.privileges(wanted["role"])
        given = list(wanted.get("grants") or ())
        same = privileges_from(given) == there
        grants = given if same else plain_grants(there)
        return common(wanted) | {"role": wanted["role"], "grants": grants}

    def make(self, session: Session, wanted: Props) -> None:
        raise ProvisionRefused(
            f"there is no role `{wanted['role']}` to grant to",
            hint="make the role first; of a stack: pulumi up --refresh",
            subject=str(wanted["role"]),
        )

    def change(
        self, session: Session, wanted: Props, found: Props, differences: Sequence[Difference]
    ) -> None:
        admin, role = session.server(wanted["database"]).admin, wanted["role"]
        expected = privileges_from(wanted.get("grants") or ())
        there = admin.privileges(role)
        granted = []
        try:
            for privilege in sorted(expected - there):
                admin.grant(role, privilege)
                granted.append(privilege)
        except MilvusError:  # a privilege that the server does not know: all of it, or nothing
            for privilege in granted:
                admin.revoke(role, privilege)
            raise
        for privilege in sorted(there - expected):
            admin.revoke(role, privilege)

    def missing(self, session: Session, wanted: Props) -> str:
        return no_database(session, wanted["database"])

    def drop(self, session: Session, props: Props) -> None:
        if self.find(session, props) is None:
            return
        admin = session.server(props["database"]).admin
        for privilege in sorted(admin.privileges(props["role"])):
            admin.revoke(props["role"], privilege)


def privileges_from(grants: Iterable[Props]) -> frozenset[Privilege]:
    """The single privileges of grants as a spec writes them."""
    return frozenset(
        Privilege(str(g["object"]), str(g["name"]), str(p)) for g in grants for p in g["privileges"]
    )


def plain_grants(privileges: Iterable[Privilege]) -> list[dict[str, Any]]:
    """Privileges as a spec writes them: those on one object together."""
    by_object: dict[tuple[str, str], list[str]] = {}
    for p in sorted(privileges):
        by_object.setdefault((p.object, p.name), []).append(p.privilege)
    return [{"object": o, "name": n, "privileges": p} for (o, n), p in by_object.items()]


def hashed(password: str) -> str:
    """`salt$hash`, hex; scrypt, so that guessing from a state file is slow."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_COST).hex()}"


def verifies(password: str, check: str) -> bool:
    """Whether `check` is the hash of the password."""
    salt, _, digest = check.partition("$")
    if not digest:
        return False
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **_COST)
    return hmac.compare_digest(found.hex(), digest)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
