"""A server in memory, and what the engine would do with resources on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.provision.objects import lifecycle
from kitestring.provision.objects.kinds import KINDS
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from tests.unit.objects.support import MemorySession

SpecOf = Callable[..., LoadedSpec]
CONNECTION = {"uri": "http://milvus:19530"}


@dataclass
class Stack:
    """An engine in a few lines: it keeps the state and calls as Pulumi does."""

    session: MemorySession
    state: dict[str, tuple[str, str, dict[str, Any]]] = field(default_factory=dict)

    def check(
        self, kind: str, name: str, props: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Any]]:
        old = self.state[name][2] if name in self.state else {}
        return lifecycle.check(KINDS[kind], self.session, old, props)

    def apply(self, kind: str, name: str, props: dict[str, Any]) -> str:
        """`create`, `update`, `replace` or `same`; check failures are an AssertionError."""
        inputs, problems = self.check(kind, name, props)
        assert problems == []
        if name not in self.state:
            identity, outs = lifecycle.create(KINDS[kind], self.session, inputs)
            self.state[name] = (kind, identity, outs)
            return "create"
        _, identity, old = self.state[name]
        diff = lifecycle.diff(KINDS[kind], old, inputs)
        if diff.replaces:
            lifecycle.delete(KINDS[kind], self.session, old)
            identity, outs = lifecycle.create(KINDS[kind], self.session, inputs)
            self.state[name] = (kind, identity, outs)
            return "replace"
        if not diff.changed:
            return "same"
        self.state[name] = (
            kind, identity, lifecycle.update(KINDS[kind], self.session, old, inputs),
        )  # fmt: skip
        return "update"

    def refresh(self) -> dict[str, dict[str, Any] | None]:
        """The resources that are not as the state has them."""
        changed: dict[str, dict[str, Any] | None] = {}
        for name, (kind, identity, known) in list(self.state.items()):
            found = lifecycle.read(KINDS[kind], self.session, identity, known)
            if found != known:
                changed[name] = found
            if found is None:
                del self.state[name]
            else:
                self.state[name] = (kind, identity, found)
        return changed

    def delete(self, name: str) -> None:
        kind, _, props = self.state[name]
        lifecycle.delete(KINDS[kind], self.session, props)
        del self.state[name]

    def up(self, loaded: LoadedSpec) -> dict[str, str]:
        """What was done with each resource of a spec that was not left as it is."""
        from kitestring.provision.objects.declare import declare

        wanted = declare(loaded)
        for declared in wanted:  # the engine's preview: all checks before anything is done
            _, problems = self.check(declared.kind, declared.name, declared.props)
            if problems:
                raise Refused("; ".join(why for _, why in problems))
        done = {}
        for d in wanted:
            owner = {"of": self.state[d.of][2]["generation"]} if d.of else {}
            done[d.name] = self.apply(d.kind, d.name, {**d.props, **owner})
        for name in reversed([n for n in self.state if n not in done]):
            self.delete(name)
            done[name] = "delete"
        return {name: what for name, what in done.items() if what != "same"}


class Refused(Exception):
    """The engine's preview failed."""


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


@pytest.fixture
def session(cluster: MemoryCluster) -> MemorySession:
    return MemorySession(cluster, {"APP_PASSWORD": "secret-of-app"})


@pytest.fixture
def stack(session: MemorySession) -> Stack:
    return Stack(session)


@pytest.fixture
def spec_of(tmp_path: Path) -> SpecOf:
    """Loads a spec with one collection `docs_v1`; keywords are laid over the spec's top level,
    those of `collection` over the collection."""

    def make(collection: dict[str, Any] | None = None, **top: Any) -> LoadedSpec:
        document = {
            "version": 1,
            "cluster": {"name": "dev"},
            "connection": {"uri": "http://milvus:19530", "token": {"env": "ROOT_TOKEN"}},
            "state": "state",
            "models": [{"provider": "hashing", "name": "w", "version": "1", "dimension": 16}],
            "collections": [
                {
                    "name": "docs_v1",
                    "model": "w@1",
                    "partitions": ["p1"],
                    "properties": {"collection.ttl.seconds": "86400"},
                    "indexes": [
                        {"field": "embedding", "type": "HNSW", "metric": "COSINE",
                         "params": {"M": 8, "efConstruction": 32}},
                    ],
                    "aliases": ["docs"],
                    **(collection or {}),
                }
            ],
            "access": {
                "roles": [
                    {
                        "name": "reader",
                        "grants": [{"object": "Collection", "name": "docs_v1",
                                    "privileges": ["Search", "Query"]}],
                    }
                ],
                "users": [{"name": "app", "password": {"env": "APP_PASSWORD"},
                           "roles": ["reader"]}],
            },
            **top,
        }  # fmt: skip
        file = tmp_path / "cluster.yaml"
        file.write_text(yaml.safe_dump({k: v for k, v in document.items() if v is not None}))
        return load(file, {})

    return make
