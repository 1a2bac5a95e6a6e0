"""What a spec's connection comes to, and that it holds no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.clients.milvus.way import (
    SecretKey,
    Way,
    provisioning_way,
    redirected,
    way_from,
    way_of,
)
from kitestring.provision.target import Target, root_way
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

DEPLOYMENT: dict[str, Any] = {
    "version": "2.3.5", "mode": "standalone", "namespace": "milvus-dev",
    "minio": {"volume": {"size": "1Gi"}}, "etcd": {"replicas": 1},
}  # fmt: skip


def loaded(folder: Path, connection: dict[str, Any], security: Any = None) -> LoadedSpec:
    document: dict[str, Any] = {
        "version": 1, "cluster": {"name": "dev"}, "connection": connection, "state": "state",
        "storage": {"type": "s3", "bucket": "milvus"},
        "deployment": DEPLOYMENT | ({"security": security} if security else {}),
    }  # fmt: skip
    if "embedded" in connection:
        del document["deployment"]
    file = folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))
    return load(file, {})


def test_a_deployment_with_a_generated_certificate(tmp_path: Path) -> None:
    spec = loaded(tmp_path, {"kubernetes": {"context": "kind"}}, {"tls": {"type": "generated"}})
    way = way_of(spec)
    assert way.plain() == {
        "forward": {
            "namespace": "milvus-dev", "service": "dev-milvus", "port": 19530, "context": "kind",
        },
        "tls": True,
        "ca_secret": {"name": "dev-tls", "key": "ca.crt"},
        "server_name": "dev-milvus.milvus-dev.svc",
        "token_secret": {"name": "dev-root", "key": "token"},
        "timeout": 10.0,
    }  # fmt: skip
    assert way.address == "https://dev-milvus.milvus-dev.svc:19530"
    assert way_from(json.loads(json.dumps(way.plain()))) == way


def test_what_the_connection_names_goes_before_what_the_deployment_made(tmp_path: Path) -> None:
    connection = {
        "kubernetes": {"kubeconfig": "kube.yaml"},
        "token": {"env": "APP_TOKEN"},
        "tls": {"ca_file": "ca.pem", "server_name": "milvus.example.com"},
    }
    given = {"tls": {"type": "secret", "secret": "front-door"}}
    way = way_of(loaded(tmp_path, connection, given))
    assert (way.token_env, way.token_secret) == ("APP_TOKEN", None)
    assert (way.ca_file, way.ca_secret) == (str(tmp_path / "ca.pem"), None)
    assert way.server_name == "milvus.example.com"
    assert way.forward is not None
    assert way.forward.kubeconfig == str(tmp_path / "kube.yaml")
    way = way_of(loaded(tmp_path, {"kubernetes": {}}, given))
    assert way.ca_secret is not None
    assert way.ca_secret.name == "front-door"


def test_no_tls_without_a_certificate(tmp_path: Path) -> None:
    way = way_of(loaded(tmp_path, {"kubernetes": {}}))
    assert (way.tls, way.ca_secret, way.server_name) == (False, None, "")
    assert way.address.startswith("http://")


def test_a_uri_and_an_embedded_server(tmp_path: Path) -> None:
    way = way_of(loaded(tmp_path, {"uri": "https://h:1", "token": {"file": "token"}}))
    assert way.plain() == {
        "uri": "https://h:1", "token_file": str(tmp_path / "token"), "timeout": 10.0,
    }  # fmt: skip
    assert way_of(loaded(tmp_path, {"embedded": "m"})).embedded == str(tmp_path / "m")


def test_another_context(tmp_path: Path) -> None:
    way = way_of(loaded(tmp_path, {"kubernetes": {"context": "kind"}}))
    there = redirected(way, "other", None).forward
    assert there is not None
    assert (there.context, there.service) == ("other", "dev-milvus")
    assert redirected(way, None, None) == way
    uri = Way(uri="http://h:1")
    assert redirected(uri, "other", None) == uri


def test_whoever_provisions_needs_no_address_of_the_server(tmp_path: Path) -> None:
    spec = loaded(tmp_path, {"uri": "https://milvus.example.com", "token": {"env": "APP_TOKEN"}})
    way = provisioning_way(spec, context="prod")
    assert (way.uri, way.token_env) == ("", "")
    assert way.forward is not None
    assert (way.forward.service, way.forward.context) == ("dev-milvus", "prod")
    assert way.token_secret is not None
    own = loaded(tmp_path, {"kubernetes": {}, "token": {"env": "APP_TOKEN"}})
    assert provisioning_way(own).token_env == "APP_TOKEN"


@pytest.mark.parametrize("tls", [{"ca_file": "ca.pem"}, {"server_name": "milvus.example.com"}])
def test_a_given_certificate_need_not_know_the_service(tmp_path: Path, tls: Any) -> None:
    connection = {"uri": "https://milvus.example.com:443", "tls": tls}
    given = {"tls": {"type": "secret", "secret": "front-door"}}
    spec = loaded(tmp_path, connection, given)
    for way in (provisioning_way(spec), root_way(spec, Target())):
        assert way.server_name == "milvus.example.com"
        assert way.ca_secret == SecretKey("front-door", "ca.crt")
    # one that the deployment makes is for its Service
    own = loaded(tmp_path, connection, {"tls": {"type": "generated"}})
    assert provisioning_way(own).server_name == "dev-milvus.milvus-dev.svc"


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="'token'"):
        way_from({"uri": "http://h:1", "token": "root:Milvus"})
