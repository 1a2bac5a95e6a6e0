"""A small backup whose objects, manifest and summary are in memory, in clear, by age and by KMS."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kitestring.backup.catalog import Catalog
from kitestring.backup.lock import held
from kitestring.backup.seal.keys import new_pair
from kitestring.backup.seal.sealer import AgeSealer, KmsSealer, Sealer, sealer_of
from kitestring.backup.seal.sign import Signer, Verifier, parse_private, read_trusted
from kitestring.backup.seal.store import SealedStore
from kitestring.clients.kms import Kms
from kitestring.clients.store.memory import MemoryStore
from kitestring.model.arrow import arrow_schema
from kitestring.model.backup import (
    BackupManifest,
    CollectionBackup,
    RowsBackup,
    StoredObject,
)
from kitestring.model.collection import Field, Partition, Schema
from kitestring.model.digest import DYNAMIC_FIELD, DigestBuilder
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

SCHEMA = Schema(
    (
        Field("id", "VARCHAR", primary=True, max_length=64, field_id=100),
        Field("embedding", "FLOAT_VECTOR", dim=4, field_id=101),
    ),
    dynamic=True,
)
ID = "20250131T013000Z-1a2b3c"
SPEC = """\
version: 1
cluster: {name: unit}
connection: {uri: "http://127.0.0.1:19530"}
state: state
storage: {type: local, path: milvus}
backup:
  store: {type: local, path: backups}
"""


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """moto's server: S3 with the bucket `bucket`, and KMS. Its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="user",
        aws_secret_access_key="a-secret",
    ).create_bucket(Bucket="bucket")
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What boto3's default chain finds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "user")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")


@pytest.fixture(scope="session")
def kms_service(aws: str) -> Kms:
    """A new key of the key service; clients take long to make."""
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "user")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
        client = boto3.client("kms", endpoint_url=aws, region_name="us-east-1")
        return Kms(client.create_key()["KeyMetadata"]["KeyId"], endpoint_url=aws)


@pytest.fixture
def age_keys(tmp_path: Path) -> Path:
    """A folder with age.key and age.pub."""
    new_pair(tmp_path / "keys", "age")
    return tmp_path / "keys"


@pytest.fixture
def signing_keys(tmp_path: Path) -> Path:
    """A folder with signing.key and signing.pub."""
    new_pair(tmp_path / "keys", "signing")
    return tmp_path / "keys"


@pytest.fixture
def age_sealer(age_keys: Path) -> AgeSealer:
    from kitestring.backup.seal.age import parse_identities

    found = parse_identities((age_keys / "age.key").read_text(), "age.key")
    return AgeSealer([(age_keys / "age.pub").read_text().strip()], lambda: found)


@pytest.fixture
def kms_sealer(kms_service: Kms) -> KmsSealer:
    return KmsSealer(kms_service.key_id, lambda: kms_service)


@pytest.fixture(params=["clear", "age", "kms"])
def sealer(request: pytest.FixtureRequest) -> Sealer | None:
    if request.param == "clear":
        return None
    found: Sealer = request.getfixturevalue(f"{request.param}_sealer")
    return found


@pytest.fixture
def signer(signing_keys: Path) -> Signer:
    data = (signing_keys / "signing.key").read_bytes()
    return Signer(lambda: parse_private(data, "signing.key"))


@pytest.fixture
def verifier(signing_keys: Path) -> Verifier:
    return Verifier(lambda: read_trusted([signing_keys / "signing.pub"]))


@pytest.fixture
def spec_with(tmp_path: Path) -> Callable[[str], LoadedSpec]:
    """A spec with more lines in `backup`."""
    (tmp_path / "milvus").mkdir(exist_ok=True)

    def make(more: str = "") -> LoadedSpec:
        file = tmp_path / "cluster.yaml"
        file.write_text(SPEC + "".join(f"  {line}\n" for line in more.splitlines()))
        return load(file)

    return make


def parquet(first: int, rows: int) -> tuple[bytes, pa.RecordBatch]:
    """A part with rows of its own."""
    shape = arrow_schema(SCHEMA)
    vectors = np.arange(first * 4, (first + rows) * 4, dtype=np.float32)
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([f"k{first + n:05d}" for n in range(rows)]),
            pa.FixedSizeListArray.from_arrays(vectors, type=shape.field("embedding").type),
            pa.array([json.dumps({"n": n}).encode() for n in range(rows)], pa.binary()),
        ],
        schema=shape,
    )
    assert batch.schema.names[-1] == DYNAMIC_FIELD
    out = io.BytesIO()
    pq.write_table(pa.Table.from_batches([batch]), out)
    return out.getvalue(), batch


def make_backup(
    catalog: Catalog, *, id_: str = ID, parts: int = 3, first: int = 0
) -> BackupManifest:
    """Publishes a logical backup of one collection, in so many parts of 100 rows."""
    digest = DigestBuilder("id")
    made = []
    for number in range(parts):
        data, batch = parquet(first + number * 100, 100)
        digest.add(batch)
        key = f"pool/{catalog.pool_name('unit')}/rows/docs/{id_}-{number}.parquet"
        catalog.store.put(key, data)
        sha256 = hashlib.sha256(data).hexdigest()
        made.append(
            RowsBackup(StoredObject(key, f"docs/{number}", len(data), sha256), "_default", 100)
        )
    collection = CollectionBackup(
        "docs", 7, SCHEMA, 1, (Partition("_default", 8),), "Bounded", {}, (), (), True, 1, (),
        digest.result(), parts=tuple(made),
    )  # fmt: skip
    manifest = BackupManifest(
        id_, "unit", "logical", 1_738_287_000_000, 1_738_287_001_000, 1_738_287_000_500, "v2.3.5",
        "0", (collection,), copied_bytes=sum(p.object.size for p in made),
    )  # fmt: skip
    with held(catalog.store, "a test") as lock:
        catalog.publish(manifest, lock)
    return manifest


@pytest.fixture
def make() -> Callable[..., BackupManifest]:
    return make_backup


@pytest.fixture
def raw() -> MemoryStore:
    """What the store really holds."""
    return MemoryStore()


@pytest.fixture
def catalog(raw: MemoryStore, sealer: Sealer | None, signer: Signer, verifier: Verifier) -> Catalog:
    """A signed catalog; sealed in each of the ways."""
    return Catalog(SealedStore(raw, sealer), signer=signer, verifier=verifier)


@pytest.fixture
def sealer_from() -> Callable[[LoadedSpec], Sealer | None]:
    return sealer_of
