"""A collection in memory whose vectors are those of a hashing model, and a spec of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kitestring.backup.logical.where import parse
from kitestring.clients.embedder.hashing import HashingEmbedder
from kitestring.errors import CollectionNotLoaded
from kitestring.model.arrow import arrow_schema
from kitestring.model.collection import CollectionInfo, Field, Partition, Schema
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import HashingModel, Spec

DIMENSION = 32
SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64),
        Field("embedding", "FLOAT_VECTOR", dim=DIMENSION),
        Field("tenant_id", "VARCHAR", max_length=64),
        Field("text", "VARCHAR", max_length=1024),
        Field("embedding_model", "VARCHAR", max_length=64),
        Field("last_embedded_at", "INT64"),
    )
)
WORDS = [a + b for a in ("ka", "lo", "mi", "te", "ru") for b in ("ne", "sto", "ver", "dal", "pi")]
DAY = 86_400_000


def model(label: str = "words@1", **options: Any) -> HashingEmbedder:
    name, _, version = label.partition("@")
    found = {"provider": "hashing", "name": name, "version": version, "dimension": DIMENSION}
    return HashingEmbedder(HashingModel.model_validate(found | {"options": options}))


OTHER = {"analyzer": "char_wb", "ngram_min": 2, "ngram_max": 4}


@cache
def content(count: int) -> tuple[list[str], list[list[float]]]:
    """Texts, and what the model gives for them."""
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(WORDS, 9)) + f" n{i}" for i in range(count)]
    return texts, model().embed(texts).tolist()


@dataclass
class Table:
    """Rows as columns; the part of a server that a canary asks."""

    rows: dict[str, list[Any]]
    loaded: bool = True
    asked: list[str] = field(default_factory=list)

    @property
    def info(self) -> CollectionInfo:
        state = "Loaded" if self.loaded else "NotLoad"
        return CollectionInfo(
            "docs", 7, SCHEMA, 1, (Partition("_default", 8),), "Bounded", {}, (), (), state, 1
        )

    @property
    def columnar(self) -> Table:
        return self

    def describe(self, name: str) -> CollectionInfo:
        return self.info

    def scan(
        self, name: str, columns: Sequence[str], *, batch_rows: int = 8192
    ) -> Iterator[pa.RecordBatch]:
        if not self.loaded:
            raise CollectionNotLoaded("the collection is not loaded")
        whole = self._batch(columns)
        for start in range(0, whole.num_rows, batch_rows):
            yield whole.slice(start, batch_rows)

    def page(
        self, name: str, schema: Schema, columns: Sequence[str], expression: str, **_: Any
    ) -> pa.RecordBatch:
        self.asked.append(expression)
        whole = self._batch([f.name for f in schema.fields])
        return whole.filter(parse(expression, schema).mask(whole)).select(list(columns))

    def embed(self, keys: Sequence[int], embedder: HashingEmbedder) -> None:
        """The vectors of the rows at these places are another embedder's from now on."""
        found = embedder.embed([self.rows["text"][i] for i in keys])
        for i, vector in zip(keys, found, strict=True):
            self.rows["embedding"][i] = vector.tolist()

    def _batch(self, columns: Sequence[str]) -> pa.RecordBatch:
        shape = arrow_schema(SCHEMA)
        whole = pa.RecordBatch.from_pydict(self.rows, schema=shape)
        return whole.select(list(columns))


@pytest.fixture
def table() -> Any:
    """`table(2000)`: that many rows of two tenants over three days."""

    def make(count: int) -> Table:
        texts, vectors = content(count)
        return Table(
            {
                "id": [f"k{i:06}" for i in range(count)],
                "embedding": list(vectors),
                "tenant_id": ["big" if i % 10 else "small" for i in range(count)],
                "text": list(texts),
                "embedding_model": ["words@1"] * count,
                "last_embedded_at": [DAY * (20_000 + i % 3) for i in range(count)],
            }
        )

    return make


@pytest.fixture
def loaded(tmp_path: Any) -> LoadedSpec:
    spec = Spec.model_validate(
        {
            "version": 1,
            "cluster": {"name": "test"},
            "connection": {"uri": "http://127.0.0.1:19530"},
            "state": "state",
            "models": [
                {"provider": "hashing", "name": "words", "version": "1", "dimension": DIMENSION}
            ],
            "collections": [{"name": "docs", "model": "words@1", "canary": {}}],
        }
    )
    return LoadedSpec(spec, tmp_path / "cluster.yaml")
