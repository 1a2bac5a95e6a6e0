"""Users, roles and grants of a backup: brought back, read again, compared.

Nothing is taken away from whom the target already knows. Passwords can't be read from a server, so
a user that is absent is made only where a password is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from kitestring.clients.milvus.protocol import MilvusAdmin
from kitestring.errors import MilvusError, ServerUnreachable, UsageError
from kitestring.model.access import Privilege
from kitestring.model.backup import AccessBackup

BUILT_IN_ROLES = ("admin", "public")
_COLLECTION = "Collection"


@dataclass
class AccessRestore:
    """What came of it. `undo` takes back what was made, in reverse order."""

    not_restored: list[str] = field(default_factory=list)
    undo: list[Callable[[], None]] = field(default_factory=list)


def renamed(wanted: AccessBackup, names: Mapping[str, str]) -> AccessBackup:
    """The grants on the names that collections have on the target."""

    def on_target(privilege: Privilege) -> Privilege:
        if privilege.object != _COLLECTION:
            return privilege
        return replace(privilege, name=names.get(privilege.name, privilege.name))

    roles = {role: tuple(map(on_target, granted)) for role, granted in wanted.roles.items()}
    return AccessBackup(wanted.users, roles)


def restore_access(
    admin: MilvusAdmin, wanted: AccessBackup, passwords: Mapping[str, str]
) -> AccessRestore:
    """Makes the roles, their grants, and the users whose passwords are given.

    Raises:
        ServerUnreachable: half-way; `undo` is lost then, and so is the server.
    """
    done = AccessRestore()
    roles = set(admin.list_roles())
    for role, granted in sorted(wanted.roles.items()):
        if role not in roles and _tried(done, f"role `{role}`", admin.create_role, role):
            done.undo.append(partial(admin.drop_role, role))
            roles.add(role)
        if role not in roles:
            continue
        for privilege in sorted(set(granted) - admin.privileges(role)):
            what = f"grant to `{role}`: {privilege}"
            if _tried(done, what, admin.grant, role, privilege):
                done.undo.append(partial(admin.revoke, role, privilege))
    users = set(admin.list_users())
    for user, given in sorted(wanted.users.items()):
        password = passwords.get(user)
        if (
            user not in users
            and password is not None
            and _tried(done, f"user `{user}`", admin.create_user, user, password)
        ):
            done.undo.append(partial(admin.drop_user, user))
            users.add(user)
        if user in users:
            for role in sorted(set(given) - set(admin.roles_of(user) or ())):
                what = f"role `{role}` of the user `{user}`"
                if role in roles and _tried(done, what, admin.give_role, user, role):
                    done.undo.append(partial(admin.take_role, user, role))
    said = " ".join(done.not_restored)
    done.not_restored += [
        text
        for text in access_differences(admin, wanted)
        if text.removesuffix(" is not restored") not in said
    ]
    return done


def access_differences(admin: MilvusAdmin, wanted: AccessBackup) -> Iterator[str]:
    """What the target lacks of users, roles and grants, read again. What it has beyond is its
    own affair."""
    roles, users = set(admin.list_roles()), set(admin.list_users())
    for role, granted in sorted(wanted.roles.items()):
        if role not in roles:
            yield f"role `{role}` is not restored"
            continue
        for privilege in sorted(set(granted) - admin.privileges(role)):
            yield f"grant to `{role}`: {privilege} is not restored"
    for user, given in sorted(wanted.users.items()):
        if user not in users:
            yield (
                f"user `{user}` is not restored: a backup holds no passwords; "
                "give one with --user-passwords"
            )
            continue
        for role in sorted(set(given) - set(admin.roles_of(user) or ())):
            yield f"role `{role}` of the user `{user}` is not restored"


def read_passwords(path: Path) -> dict[str, str]:
    """Passwords by user from a file of `user: password` lines (YAML).

    Raises:
        UsageError: it can't be read, or is of another form. The message shows no password.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"the file of passwords {path} can't be read: {why}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UsageError(f"the file of passwords {path}{where} is no YAML") from None
    if not isinstance(data, dict) or not all(
        isinstance(k, str) and isinstance(v, str) and v for k, v in data.items()
    ):
        raise UsageError(
            f"the file of passwords {path} has to be lines of `user: password`",
            hint="put a password that looks like a number in quotes",
        )
    return data


def _tried(done: AccessRestore, what: str, call: Callable[..., None], *arguments: object) -> bool:
    try:
        call(*arguments)
    except ServerUnreachable:
        raise
    except MilvusError as error:
        done.not_restored.append(f"{what} is not restored: {error.message}")
        return False
    return True
