"""Access drift: who may do what on the server, against what the spec grants."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kitestring.checks.base import check
from kitestring.model.access import AccessSeen
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Location, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.access import Access
from kitestring.spec.loaded import LoadedSpec

OBSERVED = "access.observed"
_ROOT = "root"
_GIVE = "`pulumi up --refresh` puts it right where Pulumi manages the objects of the server"
_NOT_READ = AccessSeen(reason="it was not read")


def observed(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Users, roles and grants could not be read."""
    seen = snapshot.access or _NOT_READ
    if seen.reason:
        yield Finding(
            OBSERVED,
            Severity.WARN,
            f"{loaded.spec.cluster.name}/access",
            f"users, roles and grants could not be read: {seen.reason}",
            expected="all of them read",
            observed="none",
            hint="connect as a user who may list users and roles, such as root",
            location=loaded.locate("access"),
            inconclusive=True,
        )


def missing(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Users, roles and grants of the spec that the server does not have."""
    told = partial(_finding, loaded, "access.missing", Severity.FAIL)
    for access, seen in _both(loaded, snapshot):
        for i, role in enumerate(access.roles):
            at = loaded.locate("access", "roles", i)
            if role.name not in seen.roles:
                yield told("role", role.name, "the role is not there", "there", "absent", at)
                continue
            lacks = role.privileges - seen.roles[role.name]
            if lacks:
                listed = ", ".join(map(str, sorted(lacks)))
                yield told("role", role.name, "it lacks privileges", listed, "not granted", at)
        for i, user in enumerate(access.users):
            at = loaded.locate("access", "users", i)
            if user.name not in seen.users:
                yield told("user", user.name, "the user is not there", "there", "absent", at)
                continue
            without = set(user.roles).difference(seen.users[user.name])
            if without:
                listed = ", ".join(sorted(without))
                has = ", ".join(seen.users[user.name]) or "no role"
                yield told("user", user.name, "the user lacks roles", listed, has, at)


def extra(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Users and roles that the spec does not name."""
    for access, seen in _both(loaded, snapshot):
        users = {_ROOT, *(user.name for user in access.users)}
        roles = {role.name for role in access.roles}
        for name in sorted(set(seen.users) - users):
            has = ", ".join(seen.users[name]) or "no role"
            yield _finding(
                loaded, "access.extra", Severity.FAIL, "user", name,
                f"the spec does not know this user, who has {has}", "absent", "there",
                loaded.locate("access"), "drop the user, or add it to `access.users`",
            )  # fmt: skip
        for name in sorted(set(seen.roles) - roles):
            holders = sorted(user for user, has in seen.users.items() if name in has)
            yield _finding(
                loaded, "access.extra", Severity.WARN, "role", name,
                f"the spec does not know this role, which {', '.join(holders) or 'nobody'} has",
                "absent", f"{len(seen.roles[name])} privileges",
                loaded.locate("access"), "drop the role, or add it to `access.roles`",
            )  # fmt: skip


def widened(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Users and roles of the spec that may do more than it says."""
    hint = f"take it away, or add it to the spec; {_GIVE}"
    told = partial(_finding, loaded, "access.widened", Severity.FAIL, hint=hint)
    for access, seen in _both(loaded, snapshot):
        for i, role in enumerate(access.roles):
            at = loaded.locate("access", "roles", i)
            more = seen.roles.get(role.name, frozenset()) - role.privileges
            if more:
                listed = ", ".join(map(str, sorted(more)))
                yield told(
                    "role", role.name, "it may do more than the spec says", "no more", listed, at
                )
            for database, found in sorted(seen.elsewhere.get(role.name, {}).items()):
                beyond = [p for p in sorted(found) if p not in role.privileges]
                if beyond:
                    yield told(
                        "role", f"{role.name}/{database}",
                        f"it may do more in the database `{database}`", "no more",
                        ", ".join(map(str, beyond)), at,
                    )  # fmt: skip
        for i, user in enumerate(access.users):
            has = set(seen.users.get(user.name, ())) - set(user.roles) - {"public"}
            if has:
                yield told(
                    "user", user.name, "the user has more roles than the spec says",
                    ", ".join(user.roles) or "no role", ", ".join(sorted(has)),
                    loaded.locate("access", "users", i),
                )  # fmt: skip


def _both(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[tuple[Access, AccessSeen]]:
    """The spec's and the server's; nothing where the latter could not be read."""
    seen = snapshot.access or _NOT_READ
    if loaded.spec.access is not None and not seen.reason:
        yield loaded.spec.access, seen


def _finding(
    loaded: LoadedSpec,
    name: str,
    severity: Severity,
    kind: str,
    who: str,
    message: str,
    expected: str,
    observed: str,
    location: Location,
    hint: str = _GIVE,
) -> Finding:
    subject = f"{loaded.spec.cluster.name}/{kind}/{who}"
    return Finding(name, severity, subject, message, expected, observed, hint, location)


def _unasked(loaded: LoadedSpec) -> str:
    return "" if loaded.spec.access is not None else "has no `access`: it leaves users alone"


_check = partial(check, evidence=Evidence.ACCESS, unasked=_unasked)

CHECKS = (
    _check(
        OBSERVED,
        "Users, roles and grants could be read",
        observed,
        severity=Severity.WARN,
        meaning="The connection may not list users, roles or privileges, so that nothing is known "
        "of them. Inconclusive. Specs without `access` leave users alone, and these checks are "
        "left out.",
        cause="The user of `connection.token` is no administrator.",
        mend="Connect as a user who may.",
    ),
    _check(
        "access.missing",
        "Users, roles and grants of the spec are there",
        missing,
        meaning="A user, a role, a role of a user or a privilege of a role is in the spec and not "
        "on the server: somebody is refused what they need.",
        cause="It was taken away by hand, or a restore did not bring users back.",
        mend="`pulumi up --refresh` where Pulumi manages the objects; otherwise grant it.",
        requires=(OBSERVED,),
    ),
    _check(
        "access.extra",
        "There are no users and roles beside the spec's",
        extra,
        meaning="The server has a user beside `root` and the spec's, or (a warning) a role beside "
        "`admin`, `public` and the spec's.",
        cause="Somebody made it by hand, or it was left behind.",
        mend="Drop it, or add it to the spec.",
        requires=(OBSERVED,),
    ),
    _check(
        "access.widened",
        "Nobody may do more than the spec says",
        widened,
        meaning="A role of the spec has privileges that the spec does not name, in the "
        "connection's database or in another one, or a user has roles that the spec does not "
        "give. A grant on `*` is more than one on a name.",
        cause="Privileges were granted by hand, often to get something to work.",
        mend="Take them away, or add them to the spec.",
        requires=(OBSERVED,),
    ),
)
