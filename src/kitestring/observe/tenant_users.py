"""Has the users of one tenant try to read what is another's: the server must refuse them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.secrets import read_secret
from kitestring.errors import (
    AuthenticationFailed,
    CollectionNotLoaded,
    KitestringError,
    MilvusError,
    PermissionDenied,
)
from kitestring.model.tenancy import IsolationSeen, Opened
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec
from kitestring.spec.proofs import IsolationProof

_PER_DATABASE = 20  # collections of another database that are tried


def try_users(
    loaded: LoadedSpec,
    milvus: Milvus,
    spec: CollectionSpec,
    proof: IsolationProof,
    found: IsolationSeen,
) -> IsolationSeen:
    """Adds what each of the tenant's users could read of others, by their own credentials.

    Where nothing was tried, `access_reason` says why.
    """
    targets = list(_targets(loaded, milvus, spec, proof))
    opened: list[Opened] = []
    refused = 0
    reasons = [] if targets else ["there is nothing of another tenant to try"]
    for user in proof.users if targets else ():
        try:
            tried = list(_tries(loaded, user, targets))
        except KitestringError as error:
            reasons.append(f"{user}: {error.message}")
            continue
        for (database, name, owner), outcome in tried:
            what = f"collection {name}" if database is None else f"database {database}, {name}"
            if outcome is None:
                refused += 1
            elif outcome:
                reasons.append(f"{user} at {what}: {outcome}")
            else:
                opened.append(Opened(user, what, owner))
    return replace(
        found, opened=tuple(opened), refused=refused, access_reason="; ".join(reasons[:3])
    )


Target = tuple[str | None, str, str]  # database (None: the connection's), collection, owner


def _targets(
    loaded: LoadedSpec, milvus: Milvus, spec: CollectionSpec, proof: IsolationProof
) -> Iterator[Target]:
    from kitestring.clients.milvus.connect import open_way
    from kitestring.clients.milvus.way import way_of

    if spec.tenancy == "collection":
        for other in loaded.spec.collections:
            theirs = other.isolation.tenant if other.isolation else None
            if theirs and theirs != proof.tenant and milvus.has_collection(other.name):
                yield None, other.name, theirs
        return
    mine = loaded.spec.connection.database
    for database in milvus.admin.list_databases():
        if database != mine:
            with open_way(way_of(loaded), database=database) as there:
                for name in there.list_collections()[:_PER_DATABASE]:
                    yield database, name, ""


def _tries(
    loaded: LoadedSpec, user: str, targets: list[Target]
) -> Iterator[tuple[Target, str | None]]:
    """Each target with None (refused), an empty text (read), or why it is not known."""
    from kitestring.clients.milvus.connect import open_way
    from kitestring.clients.milvus.way import way_of

    declared = loaded.spec.access.users if loaded.spec.access else []
    secret = next((u.password for u in declared if u.name == user), None)
    if secret is None:
        raise AuthenticationFailed(
            "the spec names no password of this user", hint="`password` of the user in `access`"
        )
    token = f"{user}:{read_secret(loaded, secret)}"
    for target in targets:
        database = target[0] or loaded.spec.connection.database
        try:
            with open_way(way_of(loaded), database=database, token=token) as server:
                server.count(target[1])
        except PermissionDenied:
            yield target, None
        except CollectionNotLoaded:  # the server looked before it asked who wants to know
            yield target, "the collection is not loaded"
        except AuthenticationFailed:
            raise
        except MilvusError as error:
            yield target, error.message
        else:
            yield target, ""
