"""Schema drift, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.checks.schema import field_differences
from kitestring.model.collection import Field, Partition, Schema
from kitestring.model.snapshot import Snapshot


def found(check, loaded, snapshot):
    """(subject, severity, expected, observed) of every finding of a check."""
    return [
        (f.subject, f.severity.value, f.expected, f.observed)
        for f in BY_ID[check].run(loaded, snapshot)
    ]


def fields(clean: Snapshot, **changes):
    """The schema with fields replaced by name; None removes one."""
    schema = clean.collections["docs"].info.schema
    kept = [changes.get(f.name, f) for f in schema.fields]
    added = [v for k, v in changes.items() if schema.field(k) is None]
    return Schema(tuple(f for f in [*kept, *added] if f is not None), schema.dynamic)


def test_clean(spec_from, clean):
    for check in ("schema.missing-collection", "schema.drift", "schema.unmanaged"):
        assert found(check, spec_from(), clean) == []


def test_missing_collection(spec_from, clean):
    nothing = replace(clean, collections={})
    (finding,) = BY_ID["schema.missing-collection"].run(spec_from(), nothing)
    assert (finding.subject, finding.severity, finding.observed) == ("test/docs", "fail", "absent")
    assert finding.location is not None
    assert finding.location.line == 8
    assert "kitestring reconcile --spec" in finding.hint
    assert found("schema.drift", spec_from(), nothing) == []


def test_unmanaged_collection_is_only_told(spec_from, clean):
    more = replace(clean, collections={**clean.collections, "old": clean.collections["docs"]})
    assert found("schema.unmanaged", spec_from(), more) == [
        ("test/old", "info", "in the spec", "on the server only")
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"text": None}, ("test/docs/field/text", "fail", "VARCHAR", "absent")),
        (
            {"text": Field("text", "VARCHAR", max_length=100)},
            ("test/docs/field/text/max_length", "fail", "32768", "100"),
        ),
        (
            {"chunk_index": Field("chunk_index", "INT32")},
            ("test/docs/field/chunk_index/type", "fail", "INT64", "INT32"),
        ),
        (
            {"embedding": Field("embedding", "FLOAT_VECTOR", dim=16)},
            ("test/docs/field/embedding/dim", "fail", "8", "16"),
        ),
        (
            {"id": Field("id", "VARCHAR", primary=True, auto_id=True, max_length=64)},
            ("test/docs/field/id/auto_id", "fail", "false", "true"),
        ),
        (
            {"doc_id": Field("doc_id", "VARCHAR", nullable=True, max_length=1024)},
            ("test/docs/field/doc_id/nullable", "fail", "false", "true"),
        ),
        ({"price": Field("price", "FLOAT")}, ("test/docs/field/price", "fail", "absent", "FLOAT")),
    ],
)
def test_fields(spec_from, clean, with_docs, change, expected):
    snapshot = with_docs(schema=fields(clean, **change))
    assert found("schema.drift", spec_from(), snapshot) == [expected]


def test_the_dynamic_field_and_the_order_of_fields_are_no_drift(spec_from, clean, with_docs):
    schema = fields(clean, **{"$meta": Field("$meta", "JSON")})
    shuffled = Schema(tuple(reversed(schema.fields)), schema.dynamic)
    assert found("schema.drift", spec_from(), with_docs(schema=shuffled)) == []


@pytest.mark.parametrize(
    ("info", "expected", "line"),
    [
        ({"shards": 2}, ("test/docs/shards", "fail", "1", "2"), 8),
        (
            {"properties": {}},
            ("test/docs/property/collection.ttl.seconds", "fail", "0", "not set"),
            11,
        ),
        (
            {"partitions": (Partition("_default", 8), Partition("old", 9))},
            ("test/docs/partition/old", "fail", "absent", "present"),
            8,
        ),
    ],
)
def test_settings(spec_from, with_docs, info, expected, line):
    snapshot = with_docs(**info)
    assert found("schema.drift", spec_from(), snapshot) == [expected]
    (finding,) = BY_ID["schema.drift"].run(spec_from(), snapshot)
    assert finding.location.line == line


def test_dynamic_flag(spec_from, clean, with_docs):
    fixed = replace(clean.collections["docs"].info.schema, dynamic=False)
    assert found("schema.drift", spec_from(), with_docs(schema=fixed)) == [
        ("test/docs/dynamic", "fail", "true", "false")
    ]


def test_missing_partition(spec_from, clean):
    loaded = spec_from(("    aliases:", "    partitions: [eu]\n    aliases:"))
    assert found("schema.drift", loaded, clean) == [
        ("test/docs/partition/eu", "fail", "present", "absent")
    ]


def test_partitions_of_a_partition_key_are_the_servers(spec_from, clean, with_docs):
    loaded = spec_from(("    aliases:", "    tenancy: partition-key\n    aliases:"))
    tenant = Field("tenant_id", "VARCHAR", partition_key=True, max_length=256)
    snapshot = with_docs(
        schema=fields(clean, tenant_id=tenant),
        partitions=tuple(Partition(f"_default_{n}", n) for n in range(64)),
    )
    assert found("schema.drift", loaded, snapshot) == []
    assert found("schema.drift", loaded, clean) == [
        ("test/docs/field/tenant_id/partition_key", "fail", "true", "false")
    ]


def test_sizes_that_the_spec_leaves_out_may_be_any():
    wanted = Field("tags", "ARRAY", element_type="varchar", max_capacity=8)
    there = Field("tags", "ARRAY", element_type="VARCHAR", max_capacity=8, max_length=10)
    assert field_differences(wanted, there) == []
    assert field_differences(wanted, replace(there, element_type="INT64")) == [
        ("element_type", "varchar", "INT64")
    ]
