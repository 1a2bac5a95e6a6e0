"""What drift runs prove on a real server: clean first, then a planted fault is found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from kitestring.clients.milvus.client import wait_until
from kitestring.drift import detect
from kitestring.model.arrow import arrow_schema
from kitestring.model.digest import DYNAMIC_FIELD
from kitestring.spec.schema import collection_schema, wanted_index
from tests.integration.report_schema import published

pytestmark = pytest.mark.server

NO_BACKUP = {"backup": None, "objectives": None}  # other tests look at backups
ROWS = 3000


def a_row(number, vector, **other):
    return {
        "id": f"key{number:06}",
        "embedding": [float(x) for x in vector],
        "tenant_id": "",
        "doc_id": f"doc{number // 10}",
        "chunk_index": number % 10,
        "text": f"passage {number}",
        "content_hash": f"{number:064x}",
        "embedding_model": "hashing-word@1",
        "chunker": "sentence/200/20/1",
        "last_embedded_at": 1000,
        **other,
    }


def record_batch_of(schema, rows):
    plain = [{**row, DYNAMIC_FIELD: b"{}"} for row in rows]
    return pa.RecordBatch.from_pylist(plain, schema=arrow_schema(schema))


def made(milvus, loaded, rows, *, flush=True):
    """The collection of a spec with these rows, loaded."""
    spec = loaded.spec.collections[0]
    milvus.create_collection(spec.name, collection_schema(loaded.spec, spec))
    milvus.insert(spec.name, rows)
    if flush:
        milvus.flush(spec.name)
    for index in spec.indexes:
        milvus.create_index(spec.name, wanted_index(index), wait=True)
    milvus.load(spec.name)
    return spec.name


def told(report, check):
    return [(f.severity.value, f.inconclusive) for f in report.findings if f.check == check]


@pytest.fixture
def vectors():
    """Without any structure: what an index finds hardest."""
    return np.random.default_rng(7).normal(size=(ROWS, 64))


def recall_spec(spec_for, name, nprobe):
    index = {"field": "embedding", "type": "IVF_FLAT", "metric": "L2", "params": {"nlist": 256}}
    return spec_for(
        {
            "name": name,
            "indexes": [index],
            "search": {"params": {"nprobe": nprobe}},
            "recall": {"queries": "stored", "sample": 50, "k": 10, "minimum": 0.9},
        },
        **NO_BACKUP,
    )


def test_recall_of_a_searched_too_narrowly_index(spec_for, milvus, unique, vectors):
    name = unique("c")
    wide = recall_spec(spec_for, name, 256)
    made(milvus, wide, [a_row(n, v) for n, v in enumerate(vectors)])
    report = published(detect(wide, only=["index.recall"]))
    assert (told(report, "index.recall"), report.exit_code) == ([], 0)
    seen = report.snapshot.collections[name].recall
    assert seen.recall.mean == 1.0  # every list is probed: exact
    assert seen.rows == ROWS

    narrow = recall_spec(spec_for, name, 1)
    report = detect(narrow, only=["index.recall"])
    assert (told(report, "index.recall"), report.exit_code) == ([("fail", False)], 2)
    assert report.snapshot.collections[name].recall.recall.high < 0.9

    # rows that are in no segment file yet are read over the API
    milvus.insert(name, [a_row(ROWS, vectors[0])])
    report = detect(wide, only=["index.recall"])
    seen = report.snapshot.collections[name].recall
    assert (seen.path, seen.rows, report.exit_code) == ("api", ROWS + 1, 0)

    milvus.release(name)
    report = detect(wide, only=["index.recall"])
    assert (told(report, "index.recall"), report.exit_code) == ([("warn", True)], 3)


def failed(report):
    return {(f.check, f.subject.split("/", 1)[-1]) for f in report.findings if f.severity == "fail"}


def test_tenants_that_share_a_collection(spec_for, milvus, unique, vectors):
    name = unique("c")
    isolation = {"canaries": 2, "tenants": ["acme", "globex", 'ini"tech'], "write": True}
    loaded = spec_for(
        {"name": name, "tenancy": "partition-key", "isolation": isolation}, **NO_BACKUP
    )
    rows = [a_row(n, vectors[n], tenant_id=["acme", "globex"][n % 2]) for n in range(60)]
    made(milvus, loaded, rows, flush=False)
    report = published(detect(loaded, only=["tenancy"]))
    seen = report.snapshot.collections[name].isolation
    assert (failed(report), seen.reason, report.exit_code) == (set(), "", 0)
    assert (dict(seen.tenants), seen.canaries, seen.written) == ({"acme": 30, "globex": 30}, 5, 1)
    assert milvus.count(name) == 60  # the written canary is gone

    milvus.insert(name, [a_row(90, vectors[90])])
    report = detect(loaded, only=["tenancy"])
    assert failed(report) == {("tenancy.ownerless", f"{name}/tenant")}
    assert report.exit_code == 2

    unwritten = spec_for(
        {"name": name, "tenancy": "field", "isolation": {**isolation, "write": False}},
        **NO_BACKUP,
    )
    report = detect(unwritten, only=["tenancy.isolation"])
    assert (told(report, "tenancy.isolation"), report.exit_code) == ([("warn", True)], 3)


def test_tenants_with_partitions_and_collections_of_their_own(spec_for, milvus, unique, vectors):
    name = unique("c")
    parts = spec_for(
        {"name": name, "tenancy": "partition", "partitions": ["acme", "globex"], "isolation": {}},
        **NO_BACKUP,
    )
    spec = parts.spec.collections[0]
    schema = collection_schema(parts.spec, spec)
    milvus.create_collection(name, schema, partitions=spec.partitions)
    milvus.create_index(name, wanted_index(spec.indexes[0]), wait=True)
    milvus.load(name)

    def put(rows, partition):
        milvus.columnar.insert(name, schema, record_batch_of(schema, rows), partition=partition)

    put([a_row(n, vectors[n], tenant_id="acme") for n in range(20)], "acme")
    put([a_row(n, vectors[n], tenant_id="globex") for n in range(20, 40)], "globex")
    report = detect(parts, only=["tenancy"])
    assert (failed(report), report.exit_code) == (set(), 0)

    put([a_row(50, vectors[50], tenant_id="acme")], "globex")
    put([a_row(51, vectors[51], tenant_id="acme")], "_default")
    report = detect(parts, only=["tenancy"])
    assert failed(report) == {
        ("tenancy.isolation", f"{name}/tenant/globex"),
        ("tenancy.ownerless", f"{name}/tenant"),
    }

    # the same rows, said to be all of one tenant
    own = spec_for(
        {"name": name, "tenancy": "collection", "isolation": {"tenant": "globex"}}, **NO_BACKUP
    )
    report = detect(own, only=["tenancy"])
    assert failed(report) == {("tenancy.isolation", f"{name}/tenant/globex")}
    (leak,) = report.snapshot.collections[name].isolation.leaks
    assert (leak.owner, leak.rows.count) == ("acme", 22)


def test_a_saturated_node_by_the_servers_own_metrics(spec_for, milvus, unique, vectors):
    name = unique("c")

    def spec(memory, rows):
        return spec_for({"name": name, "rows": rows}, metrics={"node_memory": memory}, **NO_BACKUP)

    roomy = spec("64Gi", 1000)
    made(milvus, roomy, [a_row(n, v) for n, v in enumerate(vectors[:200])])
    report = detect(roomy, only=["capacity"])
    (node,) = report.snapshot.nodes.nodes
    assert report.exit_code == 0
    assert node.memory > 2**20
    # metrics follow a load a moment later
    info = milvus.describe(name)
    wait_until(
        lambda: detect(roomy, only=["capacity"]).snapshot.nodes.nodes[0].rows.get(info.id) == 200,
        timeout=60,
        what="the metrics",
    )
    report = detect(spec("64Mi", 100), only=["capacity"])
    assert report.exit_code == 2
    assert {f.check: f.severity.value for f in report.findings} == {
        "capacity.memory": "fail",
        "capacity.rows": "warn",
        "capacity.blast-radius": "info",
    }


def test_settings_of_the_server(spec_for, milvus, unique):
    """What the server runs with is no drift; a spec that says otherwise is told."""

    def found(size):
        deployment = {
            "version": "2.5.16", "mode": "standalone", "minio": {},
            "config": {"dataCoord.segment.maxSize": size},
        }  # fmt: skip
        storage = {"type": "s3", "bucket": "milvus"}
        loaded = spec_for(
            {"name": unique("c")}, deployment=deployment, storage=storage,
            connection={"uri": milvus.uri, "timeout": "20s"}, **NO_BACKUP,
        )  # fmt: skip
        return published(detect(loaded, only=["config.server"]))

    (size,) = set(milvus.settings()["dataCoord.segment.maxSize"].values())
    assert found(int(size)).exit_code == 0
    report = found(int(size) + 1)
    assert report.exit_code == 2
    assert [(f.check, f.observed) for f in report.findings] == [("config.server", size)]


def test_settings_that_were_changed_by_hand(spec_for, milvus, unique):
    name = unique("c")
    loaded = spec_for(
        {"name": name, "consistency": "Strong"}, database={"properties": {"x": "1"}}, **NO_BACKUP
    )
    spec = loaded.spec.collections[0]
    milvus.create_collection(name, collection_schema(loaded.spec, spec), consistency="Strong")
    only = ["config.expiry", "config.unmanaged", "config.consistency"]
    assert detect(loaded, only=only).exit_code == 0
    # a server of 2.3 can't tell the settings of a database: that is no pass
    assert detect(loaded, only=["config.database"]).exit_code == 3

    milvus.admin.alter_collection(name, {"collection.ttl.seconds": "86400"})
    weak = spec_for({"name": name, "consistency": "Eventually"}, **NO_BACKUP)
    report = detect(weak, only=["config"])
    assert report.exit_code == 2
    assert {f.check: f.observed for f in report.findings} == {
        "config.expiry": "86400 s",
        "config.consistency": "Strong",
    }
