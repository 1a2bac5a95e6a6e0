"""Specs to plan for, written as people write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kitestring.spec.models import Spec

SpecOf = Callable[..., Spec]
RESOURCES = {"cpu": "4", "memory": "16Gi"}


@pytest.fixture
def spec_of() -> SpecOf:
    """A spec with one collection `docs`; keywords go into its deployment."""

    def make(
        *,
        rows: int | None = 1_000_000,
        dim: int = 128,
        index: dict[str, Any] | None = None,
        load: dict[str, Any] | None = None,
        collection: dict[str, Any] | None = None,
        deployed: bool = True,
        **deployment: Any,
    ) -> Spec:
        data: dict[str, Any] = {
            "version": 1,
            "cluster": {"name": "test"},
            "connection": {"uri": "http://h:1"},
            "state": "state",
            "storage": {"type": "s3", "bucket": "milvus"},
            "models": [{"provider": "hashing", "name": "m", "version": "1", "dimension": dim}],
            "collections": [
                {
                    "name": "docs",
                    "model": "m@1",
                    "chunking": {"strategy": "fixed", "size": 600},
                    "rows": rows,
                    "indexes": [
                        index
                        or {
                            "field": "embedding",
                            "type": "HNSW",
                            "metric": "COSINE",
                            "params": {"M": 16, "efConstruction": 200},
                        }
                    ],
                    "load": load or {},
                    **(collection or {}),
                }
            ],
        }
        if deployed:
            data["deployment"] = {
                "version": "2.5.16",
                "mode": "cluster",
                "minio": {"volume": {"size": "10Ti"}},
                "roles": {"query_node": {"replicas": 3}},
                "capacity": {"growth": 0.0, "headroom": 0.25},
                **deployment,
            }
        return Spec.model_validate(data)

    return make
