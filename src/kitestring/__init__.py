"""Kitestring keeps Milvus clusters from drifting."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "resolve"]


def resolve(name: str, *, spec: Any = None, milvus: Any = None) -> Any:
    """The collection that serves a name, and the encoder of its vectors, together.

        where = kitestring.resolve("docs")
        with contextlib.closing(where.embedder()) as embedder:
            vector = embedder.embed_query("how do I …")
        client.search(where.collection, [vector.tolist()], anns_field=where.vector, …)

    See `kitestring.clients.resolve.resolve` for arguments and errors, and `Resolved` there for
    what is returned. (Imported when it is called: `import kitestring` takes no time.)
    """
    return import_module("kitestring.clients.resolve").resolve(name, spec=spec, milvus=milvus)
