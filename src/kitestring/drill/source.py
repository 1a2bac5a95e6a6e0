"""The source, asked for its own answers. Nothing is ever written to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kitestring.clients.milvus.connect import connect
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import KitestringError
from kitestring.recall.exact import Key
from kitestring.recall.probe import Probe, Queries, answers
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True, slots=True)
class Source:
    """A connection to the source, or why there is none."""

    server: Milvus | None
    problem: str = ""

    def answers(self, name: str, probe: Probe, queries: Queries) -> list[list[Key]] | str:
        """The source's own answers, or in words why there are none."""
        if self.server is None:
            return self.problem
        try:
            return answers(self.server, name, probe, queries)
        except KitestringError as error:
            return error.message


@contextmanager
def open_source(loaded: LoadedSpec) -> Iterator[Source]:
    """The spec's server, for questions only; a source that is down is no reason to stop: that is
    when a drill is worth most."""
    try:
        server = connect(loaded)
    except KitestringError as error:
        yield Source(None, error.message)
        return
    try:
        yield Source(server)
    finally:
        server.close()
