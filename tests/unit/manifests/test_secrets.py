"""Plans of Secrets: which there are, and that no value stands in them."""

from __future__ import annotations

from typing import Any

import pytest

from kitestring.manifests.base import SecretPlan
from kitestring.manifests.build import build
from kitestring.manifests.secrets import secret_plans


def _plans(spec: Any) -> dict[str, SecretPlan]:
    return {plan.name: plan for plan in secret_plans(spec)}


def test_a_root_password_is_always_made(make_spec: Any) -> None:
    plan = _plans(make_spec())["kite-root"]
    assert plan.entries == {
        "username": "root",
        "password": "{password}",
        "token": "root:{password}",
    }
    assert plan.random["password"] >= 24
    assert plan.keep
    assert plan.namespace == "ns"


def test_a_bundled_store_has_made_keys_and_an_external_one_its_own(make_spec: Any, s3: Any) -> None:
    assert set(_plans(make_spec())) == {"kite-root", "kite-minio"}
    external = _plans(make_spec(minio=None, storage=s3))
    assert set(external) == {"kite-root", "kite-storage"}
    plan = external["kite-storage"]
    assert {name: ref.env for name, ref in plan.refs.items()} == {
        "access_key": "S3_ACCESS_KEY",
        "secret_key": "S3_SECRET_KEY",
    }
    assert not plan.random
    assert not plan.keep  # they can be read again


def test_a_workload_identity_has_no_keys(make_spec: Any, s3: Any) -> None:
    spec = make_spec(minio=None, storage=s3, identity={"service_account": "milvus"})
    assert set(_plans(spec)) == {"kite-root"}


def test_a_generated_certificate_is_for_the_service_and_the_given_names(make_spec: Any) -> None:
    tls = {"type": "generated", "hosts": ["milvus.example.com", "192.0.2.1", "localhost"]}
    plan = _plans(make_spec(security={"tls": tls}))["kite-tls"]
    assert plan.certificate is not None
    hosts = plan.certificate.hosts
    assert {
        "kite-milvus",
        "kite-milvus.ns",
        "kite-milvus.ns.svc",
        "kite-milvus.ns.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "milvus.example.com",
        "192.0.2.1",
    } <= set(hosts)
    assert len(hosts) == len(set(hosts))
    assert plan.type == "kubernetes.io/tls"


def test_secrets_of_the_user_are_only_referenced(make_spec: Any) -> None:
    spec = make_spec(
        security={"tls": {"type": "secret", "secret": "mine"}},
        message_log={"type": "pulsar", "address": "pulsar.infra.svc", "secret": "pulsar"},
    )
    assert set(_plans(spec)) == {"kite-root", "kite-minio"}


def test_users_without_a_password_get_one(make_spec: Any) -> None:
    users = [{"name": "app"}, {"name": "etl", "password": {"env": "ETL"}}, {"name": "bi"}]
    plan = _plans(make_spec(access={"users": users}))["kite-users"]
    assert set(plan.entries) == {"app", "bi"}
    assert plan.grows  # a user more is a key more
    assert "kite-users" not in _plans(make_spec(access={"users": users[1:2]}))


def test_planning_makes_nothing_at_random(make_spec: Any) -> None:
    """A preview of an unchanged spec shows no change."""
    spec = make_spec()
    assert secret_plans(spec) == secret_plans(spec)


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_no_pod_gets_the_key_of_the_authority(make_spec: Any, mode: str) -> None:
    spec = make_spec(version="2.3.5", mode=mode, security={"tls": {"type": "generated"}})
    mounted = [
        volume["secret"]
        for manifest in build(spec).manifests
        for volume in _volumes(manifest.body)
        if volume.get("secret", {}).get("secretName") == "kite-tls"
    ]
    assert mounted
    for secret in mounted:
        assert {item["key"] for item in secret["items"]} == {"tls.crt", "tls.key"}


def _volumes(body: Any) -> list[Any]:
    """The volumes of an object that makes pods."""
    return list(body.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", []))
