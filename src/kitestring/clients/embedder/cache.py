"""Vectors that were computed before, by the text and the model that made them.

A cache is a help and never a risk: an entry is used only where its checksum and dimension are
right, and a cache that fails is left out for the rest of a run, with a note.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kitestring.clients.embedder.base import Embedder, Vectors
from kitestring.spec.models import EmbeddingModel

_CHECKSUM = 16  # bytes
# what says how a model is asked, and not what it answers
_TRANSPORT = frozenset(("base_url", "api_key", "batch_size", "requests_per_second", "timeout"))


class CacheFailed(Exception):
    """The cache can't be used; the text says why."""


class VectorCache(Protocol):
    """Bytes by key; both methods raise CacheFailed."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """What is there of these keys."""
        ...

    def put(self, entries: Mapping[bytes, bytes]) -> None: ...
    def close(self) -> None: ...
    @property
    def notes(self) -> Sequence[str]: ...


def fingerprint(model: EmbeddingModel) -> str:
    """All of a model that decides its vectors: a label alone can lie."""
    said = model.model_dump(mode="json")
    said["options"] = {k: v for k, v in said["options"].items() if k not in _TRANSPORT}
    return json.dumps(said, sort_keys=True)


@dataclass(frozen=True, slots=True)
class LookUp:
    """What the cache has of some texts."""

    keys: Sequence[bytes]  # of each text
    known: Mapping[bytes, Vectors]
    absent: Mapping[bytes, str]

    @property
    def missing(self) -> Sequence[str]:
        """The texts that the model has to be asked for, each once."""
        return list(self.absent.values())


class CachedEmbedder:
    """An embedder that asks the model only for what the cache has not. Close it after use.

    `model` is the embedder itself; `hits` and `misses` count texts.
    """

    def __init__(self, model: Embedder, cache: VectorCache, named: str) -> None:
        self.model = model
        self.hits = self.misses = 0
        self._cache: VectorCache | None = cache
        self._notes: list[str] = []
        self._named = named.encode()

    @property
    def label(self) -> str:
        return self.model.label

    @property
    def dimension(self) -> int:
        return self.model.dimension

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the cache."""
        return (*self._notes, *(self._cache.notes if self._cache else ()))

    def embed(self, texts: Sequence[str]) -> Vectors:
        looked = self.look_up(texts)
        missing = looked.missing
        nothing = np.zeros((0, self.dimension), np.float32)
        return self.complete(looked, self.model.embed(missing) if missing else nothing)

    def look_up(self, texts: Sequence[str]) -> LookUp:
        """What the cache has of the texts; `complete` takes what it has not."""
        keys = [hashlib.sha256(self._named + b"\x1f" + text.encode()).digest() for text in texts]
        known = self._known(sorted(set(keys)))
        absent = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        self.misses += sum(key in absent for key in keys)
        self.hits += sum(key in known for key in keys)
        return LookUp(keys, known, absent)

    def complete(self, looked: LookUp, vectors: Vectors) -> Vectors:
        """All vectors that were looked up, of shape [texts, dimension]; those that the model gave
        for the missing ones are kept."""
        made = dict(zip(looked.absent, vectors, strict=True))
        if made:
            self._keep(made)
        found = np.zeros((len(looked.keys), self.dimension), np.float32)
        for row, key in enumerate(looked.keys):
            found[row] = made[key] if key in made else looked.known[key]
        return found

    def embed_query(self, text: str) -> Vectors:
        return self.model.embed_query(text)

    def close(self) -> None:
        if self._cache is not None:
            self._cache.close()
        self.model.close()

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        if self._cache is None:
            return {}
        try:
            entries = self._cache.get(keys)
        except CacheFailed as error:
            self._leave_out(error)
            return {}
        found = {}
        for key, entry in entries.items():
            vector = unpacked(key, entry, self.dimension)
            if vector is not None:
                found[key] = vector
        if len(found) < len(entries):
            self._notes.append(
                f"{len(entries) - len(found):,} entries of the embedding cache were damaged; "
                "their texts are embedded again"
            )
        return found

    def _keep(self, vectors: Mapping[bytes, Vectors]) -> None:
        if self._cache is None:
            return
        try:
            self._cache.put({key: packed(key, vector) for key, vector in vectors.items()})
        except CacheFailed as error:
            self._leave_out(error)

    def _leave_out(self, error: CacheFailed) -> None:
        self._notes += [*self.notes, f"the embedding cache is left out: {error}"]
        if self._cache is not None:
            self._cache.close()
        self._cache = None


def packed(key: bytes, vector: Vectors) -> bytes:
    """A vector as it is stored: its numbers, little-endian, after a checksum with its key."""
    data = np.asarray(vector, "<f4").tobytes()
    return _checksum(key, data) + data


def unpacked(key: bytes, entry: bytes, dimension: int) -> Vectors | None:
    """A stored vector of shape [dimension]; None where the entry is none."""
    data = entry[_CHECKSUM:]
    if len(data) != 4 * dimension or entry[:_CHECKSUM] != _checksum(key, data):
        return None
    return np.frombuffer(data, "<f4").astype(np.float32)


def _checksum(key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(key + data).digest()[:_CHECKSUM]
