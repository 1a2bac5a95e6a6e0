"""Small specs of deployments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kitestring.spec.models import Spec
from kitestring.spec.types import FROM_FILE

MakeSpec = Callable[..., Spec]
S3 = {
    "type": "s3",
    "bucket": "segments",
    "region": "eu-central-1",
    "access_key": {"env": "S3_ACCESS_KEY"},
    "secret_key": {"env": "S3_SECRET_KEY"},
}


def _make(
    *, name: str = "kite", storage: Any = None, access: Any = None, **deployment: Any
) -> Spec:
    given = {"version": "2.5.16", "mode": "cluster", "namespace": "ns", "minio": {}} | deployment
    data: dict[str, Any] = {
        "version": 1,
        "cluster": {"name": name},
        "connection": {"uri": "http://milvus:19530"},
        "state": "state",
        "deployment": {key: value for key, value in given.items() if value is not None},
        "storage": storage,
        "access": access,
    }
    return Spec.model_validate(
        {key: value for key, value in data.items() if value is not None}, context=FROM_FILE
    )


@pytest.fixture(scope="session")
def make_spec() -> MakeSpec:
    """A spec named `kite` in the namespace `ns`, with a bundled MinIO; keywords change it.

    `minio=None` takes MinIO away; `storage=S3` names a bucket with keys.
    """
    return _make


@pytest.fixture(scope="session")
def s3() -> dict[str, Any]:
    """A bucket with static keys."""
    return dict(S3)
