"""An in-memory embedder for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from kitestring.clients.embedder.base import Vectors


class FakeEmbedder:
    """Vectors from a hash of the text; counts what it was asked for."""

    def __init__(self, label: str = "fake@1", dimension: int = 8) -> None:
        self.label = label
        self.dimension = dimension
        self.texts: list[str] = []
        self.closed = False

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts.extend(texts)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            vectors[row] = np.random.default_rng(seed).standard_normal(self.dimension)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / norms).astype(np.float32) if len(texts) else vectors

    def embed_query(self, text: str) -> Vectors:
        vector: Vectors = self.embed([text])[0]
        return vector

    def close(self) -> None:
        self.closed = True
