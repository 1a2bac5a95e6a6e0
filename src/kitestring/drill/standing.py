"""A target that stands: what a drill restores to and asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kitestring.backup.restore import RestoreTarget
from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.store.local import LocalStore
from kitestring.drill.identity import Endpoint, endpoint_of, refuse_full, refuse_source
from kitestring.drill.target import embedded_target
from kitestring.spec.loaded import LoadedSpec

TIMEOUT = 30.0  # seconds that a request to the target may take
# the server of the wheel has no authorization, but notes who grants a privilege
_ROOT = "root:Milvus"


@dataclass(frozen=True, slots=True)
class Standing:
    """A server to restore to.

    `access`: users and roles are the drill's to make; on a server that others use they are not.
    """

    target: RestoreTarget
    kind: str  # as the record says it
    access: bool
    left: str = ""  # what is left standing, and how to end it

    @property
    def server(self) -> MilvusServer:
        server: MilvusServer = self.target.milvus  # type: ignore[assignment]
        return server


Stand = Callable[[], AbstractContextManager[Standing]]


@contextmanager
def embedded(
    source: LoadedSpec, folder: Path, size: int, *, keep: bool = False
) -> Iterator[Standing]:
    """A second embedded server in a folder of its own; gone with the block, unless it is kept.

    Raises:
        DrillRefused, StoreFull, LocalError.
    """
    with (
        embedded_target(folder, size, keep=keep) as made,
        MilvusServer(made.state.uri, token=_ROOT, timeout=TIMEOUT) as server,
    ):
        store = LocalStore(Path(made.state.root_path), create=False)
        endpoint = Endpoint(made.state.uri, made.data, made.state.pid, (store, ""))
        refuse_source(endpoint_of(source), endpoint)
        refuse_full(endpoint, server.list_collections())
        left = (
            f"the target still runs at {made.state.uri}; "
            f"`kitestring local down --data {made.data}` stops it"
        )
        yield Standing(
            RestoreTarget(server, store, disposable=True, admin=server.admin),
            "embedded",
            access=True,
            left=left if keep else "",
        )
