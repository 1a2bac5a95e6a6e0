"""The target of a drill is never the source: told by what a server is, not by what it is called.

Four things tell: the address, the process and data directory, the object store with its root path,
and the ids of the collections, which a server draws from its own clock. A drill's own database that
shows up on the source is the last and surest of them: it sees through balancers and port-forwards.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kitestring.clients.milvus.connect import server_uri
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.stack_state import read_stack_state
from kitestring.clients.store.connect import open_segment_store
from kitestring.clients.store.protocol import ObjectStore, bare, join
from kitestring.errors import CollectionNotFound, DrillRefused, KitestringError
from kitestring.spec.loaded import LoadedSpec

_HINT = "a drill restores to an isolated server; name another target"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server by everything that tells it from another one."""

    uri: str
    data: Path | None = None  # its data directory, where known
    pid: int | None = None
    place: tuple[ObjectStore, str] | None = None  # store and root path of its segments


def refuse_source(source: Endpoint | None, target: Endpoint) -> None:
    """Makes sure that two endpoints are not one.

    Args:
        source: None where it does not run.

    Raises:
        DrillRefused: both have an address, a process, a directory or a store in common.
    """
    shared = ""
    if source is not None:
        if _addresses(source.uri) & _addresses(target.uri):
            shared = f"both are at {target.uri}"
        elif source.pid is not None and source.pid == target.pid:
            shared = f"both are the process {target.pid}"
        elif source.data is not None and source.data == target.data:
            shared = f"both keep their data in {target.data}"
        elif source.place and target.place and _same_place(source.place, target.place):
            shared = f"both keep their segments in {target.place[0].url}"
    if shared:
        raise DrillRefused(
            f"the drill's target is the source: {shared}", hint=_HINT, subject=target.uri
        )


def refuse_full(target: Endpoint, collections: Sequence[str]) -> None:
    """Raises DrillRefused where a server that was started for a drill holds a collection: it is
    somebody's, whatever its address."""
    if collections:
        raise DrillRefused(
            f"the drill's target at {target.uri} is not empty: it has `{collections[0]}`",
            hint="a drill restores to a server of its own; name an empty target",
            subject=target.uri,
        )


def refuse_same_collections(target: Milvus, uri: str, ids: Iterable[int]) -> None:
    """Makes sure that none of the target's collections has the id of one that was backed up.

    Raises:
        DrillRefused: one has.
    """
    known = set(ids)
    for name in target.list_collections():
        try:
            found = target.describe(name)
        except CollectionNotFound:  # dropped since
            continue
        if found.id in known:
            raise DrillRefused(
                f"the drill's target is the source: its collection `{name}` is the one that was "
                f"backed up (id {found.id})",
                hint=_HINT,
                subject=uri,
            )


def refuse_seen(databases: Sequence[str], marker: str, uri: str) -> None:
    """Raises DrillRefused where the source has the database that was made on the target."""
    if marker in databases:
        raise DrillRefused(
            f"the drill's target is the source: the database `{marker}` that was made on the "
            "target is there on the source",
            hint=_HINT,
            subject=uri,
        )


def endpoint_of(loaded: LoadedSpec) -> Endpoint | None:
    """A spec's server, without asking it; None where it does not run."""
    data = loaded.spec.connection.embedded
    try:
        uri = server_uri(loaded)
    except KitestringError:
        return None
    place = _place(loaded)
    if data is None:
        return Endpoint(uri, place=place)
    folder = loaded.resolve(data)
    state = read_stack_state(folder)
    return Endpoint(uri, folder, state.pid if state else None, place)


def _place(loaded: LoadedSpec) -> tuple[ObjectStore, str] | None:
    if loaded.spec.storage is None:
        return None
    try:
        return open_segment_store(loaded)
    except KitestringError:  # unreachable: the other facts have to tell
        return None


def _same_place(one: tuple[ObjectStore, str], other: tuple[ObjectStore, str]) -> bool:
    """Buckets of one name may be of two servers: those that copy to each other are of one."""
    (a, root), (b, other_root) = one, other
    within = getattr(bare(a), "copies_within", None)
    same_server = within is None or bool(within(bare(b)))
    return same_server and (a.url.rstrip("/"), join(root)) == (b.url.rstrip("/"), join(other_root))


def _addresses(uri: str) -> set[tuple[str, int]]:
    """Every address and port that a URI may mean."""
    parts = urlsplit(uri)
    port = parts.port or 19530
    host = parts.hostname or ""
    found = {(host, port)}
    with suppress(OSError):
        found |= {(str(info[4][0]), port) for info in socket.getaddrinfo(host, port)}
    if any(address in ("::1", "0.0.0.0", "::") for address, _ in found):  # noqa: S104
        found.add(("127.0.0.1", port))
    return found
