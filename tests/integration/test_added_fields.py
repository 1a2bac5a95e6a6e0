"""A field is added to a collection that is there, as 2.6 does it; 2.3 refuses."""
# ruff: noqa: N802 - the names of calls

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

from kitestring.clients.milvus.client import MilvusServer
from kitestring.enforce.objects import keep_object
from kitestring.enforce.reconcile import reconcile
from kitestring.errors import MilvusError
from kitestring.model.collection import Field, Schema
from kitestring.spec.load import load

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "INT64", "primary": True},
    {"name": "v", "type": "FLOAT_VECTOR", "dim": 4},
]
LANG = {"name": "lang", "type": "VARCHAR", "max_length": 16, "nullable": True}
ROLES = ("tenant_id", "doc_id", "chunk_index", "text", "content_hash", "embedding_model",
         "chunker", "last_embedded_at")  # fmt: skip


@pytest.fixture
def modern(tmp_path: Path) -> Iterator[tuple[str, list[schema_pb2.FieldSchema]]]:
    """milvus-lite, which can't add a field, with the answers of a server of 2.6 in these calls; and
    what it was asked to add."""
    servicer = pytest.importorskip("milvus_lite.adapter.grpc.servicer")
    lite = pytest.importorskip("milvus_lite.db")
    added: list[schema_pb2.FieldSchema] = []

    class Modern(servicer.MilvusServicer):  # type: ignore[misc, name-defined]
        def GetVersion(self, request: Any, context: Any) -> Any:
            return milvus_pb2.GetVersionResponse(status=common_pb2.Status(), version="v2.6.4")

        def AddCollectionField(self, request: Any, context: Any) -> Any:
            field = schema_pb2.FieldSchema.FromString(request.schema)
            if not field.nullable:
                reason = f"added field must be nullable, please check it, field name = {field.name}"
                return common_pb2.Status(code=1100, reason=reason)
            added.append(field)
            return common_pb2.Status()

        def DescribeCollection(self, request: Any, context: Any) -> Any:
            answer = super().DescribeCollection(request, context)
            answer.schema.fields.extend(added)
            return answer

        def GetPersistentSegmentInfo(self, request: Any, context: Any) -> Any:
            return milvus_pb2.GetPersistentSegmentInfoResponse(status=common_pb2.Status())

        def GetQuerySegmentInfo(self, request: Any, context: Any) -> Any:
            return milvus_pb2.GetQuerySegmentInfoResponse(status=common_pb2.Status())

    database = lite.MilvusLite(str(tmp_path / "lite"))
    server = grpc.server(futures.ThreadPoolExecutor(4))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Modern(database), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", added
    server.stop(0).wait()
    database.close()


def spec_of(folder: Path, uri: str, *columns: dict[str, Any]) -> Any:
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"uri": uri},
        "state": "state",
        "collections": [
            {
                "name": "docs",
                "columns": [*COLUMNS, *columns],
                "fields": {"id": "id", "vector": "v", **dict.fromkeys(ROLES, "none")},
                "indexes": [{"field": "v", "type": "FLAT", "metric": "L2"}],
            }
        ],
    }
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return load(file)


def test_reconcile_and_a_kept_collection_add_it_once(
    modern: tuple[str, list[schema_pb2.FieldSchema]], tmp_path: Path
) -> None:
    uri, added = modern
    reconcile(spec_of(tmp_path, uri))
    loaded = spec_of(tmp_path, uri, LANG)

    foretold = reconcile(loaded, dry_run=True)
    steps = [(a.kind, a.subject, a.before, a.after) for a in foretold.planned]
    assert steps == [
        ("add-field", "test/docs/field/lang", "absent", "lang VARCHAR(16) nullable"),
    ]
    assert added == []
    done = reconcile(loaded)
    assert [a.subject for a in done.done] == ["test/docs/field/lang"]
    (field,) = added
    assert (field.name, field.nullable) == ("lang", True)
    assert field.data_type == schema_pb2.DataType.VarChar
    assert {p.key: p.value for p in field.type_params} == {"max_length": "16"}
    again = reconcile(loaded)
    assert (again.done, again.unfixable) == ((), ())

    fields = [*COLUMNS, LANG, {"name": "year", "type": "INT64", "nullable": True}]
    named = {"name": "docs", "fields": fields}
    kept = keep_object(loaded, "collection", named, dry_run=True)
    assert kept.differences == ("fields is absent, not year INT64",)
    assert len(added) == 1
    keep_object(loaded, "collection", named)
    assert [f.name for f in added] == ["lang", "year"]
    assert not keep_object(loaded, "collection", named).changed


def test_what_may_not_be_null_is_the_servers_to_refuse(
    modern: tuple[str, list[schema_pb2.FieldSchema]], tmp_path: Path
) -> None:
    uri, added = modern
    reconcile(spec_of(tmp_path, uri))
    with MilvusServer(uri) as milvus, pytest.raises(MilvusError, match="must be nullable"):
        milvus.admin.add_field("docs", Field("lang", "VARCHAR", max_length=16))
    assert added == []


def test_an_older_server_is_named_with_its_version(
    spec_for: Any, unique: Any, milvus: MilvusServer
) -> None:
    name = unique()
    loaded = spec_for({"name": name})
    schema = Schema(tuple(Field(**column) for column in COLUMNS))
    milvus.create_collection(name, schema)
    named = {"name": name, "fields": [*COLUMNS, LANG], "dynamic": False}
    for dry_run in (True, False):
        with pytest.raises(MilvusError, match=r"can't add a field") as refused:
            keep_object(loaded, "collection", named, dry_run=dry_run)
        assert refused.value.code == "milvus.unknown-call"
        assert "2.3.5" in refused.value.message
        assert "`lang`" in refused.value.message
    with pytest.raises(MilvusError, match=r"2\.3\.5.*can't add a field"):
        milvus.admin.add_field(name, Field("lang", "VARCHAR", max_length=16, nullable=True))
    assert milvus.describe(name).schema.field("lang") is None
