"""Paths of fields, differences and masked values, as literals."""

from __future__ import annotations

import pytest

from kitestring.clients.kube.paths import ABSENT, at, differences, dotted, path_text
from kitestring.clients.kube.text import MASK, value_text, value_texts

POD = {
    "containers": [
        {
            "name": "milvus",
            "image": "milvus:1",
            "env": [{"name": "A", "value": "1"}],
            "ports": [{"containerPort": 19530, "name": "grpc"}],
        }
    ],
    "tolerations": [{"key": "a"}],
}


def told(left, right):
    return [path_text(path) for path in differences(left, right)]


def test_items_of_keyed_lists_are_compared_whatever_their_order():
    other = {**POD, "containers": [{"name": "side", "image": "s:1"}, *POD["containers"]]}
    assert told(POD, other) == ["containers[side]"]
    assert told({"a": other}, {"a": {**other, "containers": other["containers"][::-1]}}) == []


def test_the_deepest_field_is_named():
    milvus = POD["containers"][0]
    other = {**POD, "containers": [{**milvus, "image": "milvus:2", "env": []}]}
    assert told(POD, other) == ["containers[milvus].env[A]", "containers[milvus].image"]
    assert told({"a": {"x/y": 1}}, {"a": {}}) == ["a[x/y]"]


def test_lists_without_keys():
    assert told({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}) == [
        "tolerations[0].key"
    ]
    assert told({"args": ["a"]}, {"args": ["a", "b"]}) == ["args"]


def test_a_port_is_found_by_either_of_its_keys():
    path = ("containers", (("name", "milvus"),), "ports", (("containerPort", 19530),), "name")
    assert at(POD, path) == "grpc"
    assert at(POD, ("containers", (("name", "none"),))) is ABSENT
    assert at(POD, ("tolerations", 3)) is ABSENT


def test_dotted_paths():
    assert dotted("spec.replicas") == ("spec", "replicas")
    assert dotted("metadata.annotations.a\\.b/c") == ("metadata", "annotations", "a.b/c")
    assert dotted("spec.rules.0") == ("spec", "rules", 0)


ENV = ("spec", "containers", (("name", "c"),), "env")


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Secret", ("data", "anything"), "YWJj"),
        ("Secret", ("stringData", "username"), "root"),
        ("Deployment", (*ENV, (("name", "MINIO_SECRET_ACCESS_KEY"),), "value"), "hunter2"),
        ("Deployment", (*ENV, (("name", "DB_PASSWORD"),)), {"name": "DB_PASSWORD", "value": "x"}),
        ("ConfigMap", ("data", "password"), "hunter2"),
    ],
)
def test_secret_values_are_masked(kind, path, value):
    assert value_texts(kind, path, value, ABSENT) == (MASK, "")
    assert value_texts(kind, path, ABSENT, value) == ("", MASK)


def test_names_of_secrets_are_shown():
    reference = {"secretKeyRef": {"name": "prod-minio", "key": "secret_key"}}
    path = (*ENV, (("name", "MINIO_SECRET_ACCESS_KEY"),), "valueFrom")
    assert "prod-minio" in value_texts("Deployment", path, reference, ABSENT)[0]
    assert value_text({"secretName": "prod-tls"}) == '{"secretName": "prod-tls"}'


def test_secrets_within_larger_values_are_masked():
    listed = [{"name": "X_TOKEN", "value": "hunter2"}, {"name": "Y", "value": "1"}]
    assert "hunter2" not in value_text(listed)
    assert '"value": "1"' in value_text(listed)
    old, new = "a: 1\nminio:\n  secretAccessKey: abc\n", "a: 2\nminio:\n  secretAccessKey: xyz\n"
    assert value_texts("ConfigMap", ("data", "user.yaml"), old, new) == (
        f"a: 1; secretAccessKey: {MASK}",
        f"a: 2; secretAccessKey: {MASK}",
    )


def test_of_a_long_text_only_what_differs_is_shown():
    lines = [f"line {n}" for n in range(100)]
    changed = [*lines[:50], "another", *lines[51:]]
    texts = value_texts("ConfigMap", ("data", "x"), "\n".join(lines), "\n".join(changed))
    assert texts == ("line 50", "another")
