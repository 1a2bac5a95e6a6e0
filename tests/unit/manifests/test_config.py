"""What Milvus is told: by `user.yaml`, and by environment where a server does not know that."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from kitestring.errors import SpecInvalid
from kitestring.manifests import config
from kitestring.manifests.build import build
from kitestring.spec.models import Spec


def _settings(spec: Spec) -> Any:
    (manifest,) = config.manifests(spec)
    return yaml.safe_load(manifest.body["data"]["user.yaml"])


def _environment(spec: Spec, role: Any) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in config.environment(spec, role)}


def test_a_cluster_with_everything_bundled(make_spec: Any) -> None:
    made = _settings(make_spec())
    assert made["etcd"]["endpoints"].split(",") == [
        f"kite-etcd-{i}.kite-etcd:2379" for i in range(3)
    ]
    assert made["etcd"]["rootPath"] == "kite"
    assert made["minio"]["address"] == "kite-minio"
    assert made["minio"]["port"] == 9000
    assert made["minio"]["useSSL"] is False
    assert made["mq"]["type"] == "kafka"
    assert made["kafka"]["brokerList"] == "kite-kafka:9092"
    assert made["common"]["storageType"] == "remote"
    assert made["common"]["security"] == {"authorizationEnabled": True, "tlsMode": 0}


def test_a_bucket_of_somebody_else(make_spec: Any, s3: Any) -> None:
    made = _settings(make_spec(minio=None, storage=s3 | {"prefix": "a/b"}))["minio"]
    assert made["address"] == "s3.eu-central-1.amazonaws.com"
    assert (made["port"], made["useSSL"], made["useIAM"]) == (443, True, False)
    assert (made["bucketName"], made["rootPath"]) == ("segments", "a/b")
    near = _settings(make_spec(minio=None, storage=s3 | {"endpoint_url": "http://s3:9000"}))
    assert near["minio"]["address"] == "s3"
    assert (near["minio"]["port"], near["minio"]["useSSL"]) == (9000, False)


def test_no_way_into_the_bucket_is_refused(make_spec: Any) -> None:
    bare = {"type": "s3", "bucket": "segments"}
    with pytest.raises(SpecInvalid, match="no way into the bucket"):
        build(make_spec(minio=None, storage=bare))
    with pytest.raises(SpecInvalid, match="nowhere to keep"):
        build(make_spec(minio=None))


@pytest.mark.parametrize(
    ("log", "section", "expected"),
    [
        ({"type": "kafka", "brokers": ["a:1", "b:2"]}, "kafka", {"brokerList": "a:1,b:2"}),
        ({"type": "pulsar", "address": "p"}, "pulsar", {"address": "p", "port": 6650}),
    ],
)
def test_a_message_log_of_somebody_else(
    make_spec: Any, log: Any, section: str, expected: Any
) -> None:
    made = _settings(make_spec(message_log=log))
    assert made["mq"]["type"] == log["type"]
    assert made[section] == expected


@pytest.mark.parametrize(
    ("version", "mode", "log"),
    [
        ("2.5.16", "standalone", "rocksmq"),
        ("2.5.16", "cluster", "kafka"),
        ("2.6.2", "standalone", "woodpecker"),
        ("2.6.2", "cluster", "woodpecker"),
    ],
)
def test_each_version_has_its_own_log(make_spec: Any, version: str, mode: str, log: str) -> None:
    assert _settings(make_spec(version=version, mode=mode))["mq"]["type"] == log


def test_a_log_that_the_version_has_not_is_refused(make_spec: Any) -> None:
    with pytest.raises(SpecInvalid, match="has no `woodpecker`: it can use kafka, pulsar"):
        build(make_spec(version="2.5.16", message_log={"type": "woodpecker"}))


def test_tls_is_that_of_the_server(make_spec: Any) -> None:
    made = _settings(make_spec(security={"tls": {"type": "generated"}}))
    assert made["common"]["security"]["tlsMode"] == 1
    assert made["tls"]["serverPemPath"] == "/milvus/tls/tls.crt"


def test_two_coordinators_stand_by_for_each_other(make_spec: Any) -> None:
    made = _settings(make_spec(version="2.6.2", roles={"coordinator": {"replicas": 2}}))
    for section in ("rootCoord", "queryCoord", "dataCoord", "mixCoord"):
        assert made[section]["enableActiveStandby"] is True
    assert _settings(make_spec())["rootCoord"]["enableActiveStandby"] is False


def test_milvus_stops_by_itself_before_its_pod_is_killed(make_spec: Any) -> None:
    made = _settings(make_spec(roles={"query_node": {"termination_grace": "10m"}}))
    assert made["queryNode"]["gracefulStopTimeout"] == 585
    assert made["common"]["gracefulStopTimeout"] < 60
    # nobody takes over from a standalone server: waiting for that would only delay a restart
    assert _settings(make_spec(mode="standalone"))["common"]["gracefulStopTimeout"] <= 5


def test_a_disk_lets_the_nodes_build_and_load_indexes_on_it(make_spec: Any) -> None:
    made = _settings(make_spec(roles={"query_node": {"disk": {"size": "10Gi"}}}))
    assert made["queryNode"]["enableDisk"] is True
    assert made["indexNode"]["enableDisk"] is True


def test_the_configuration_holds_no_secret(
    make_spec: Any, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_KEY", "do-not-print-me")
    for spec in (
        make_spec(),
        make_spec(version="2.3.5", minio=None, storage=s3),
        make_spec(message_log={"type": "kafka", "brokers": ["a:1"], "secret": "sasl"}),
    ):
        text = json.dumps([m.body for m in build(spec).manifests])
        assert "do-not-print-me" not in text
        assert "Secret" not in {m.kind for m in build(spec).manifests}
        made = _settings(spec)
        assert not {"accessKeyID", "secretAccessKey"} & made["minio"].keys()
        assert not {"saslUsername", "saslPassword"} & made.get("kafka", {}).keys()


def test_credentials_come_from_secrets(make_spec: Any) -> None:
    log = {"type": "kafka", "brokers": ["a:1"], "secret": "sasl"}
    made = _environment(make_spec(message_log=log), "query_node")
    assert made["MINIO_SECRET_ACCESS_KEY"] == {
        "secretKeyRef": {"name": "kite-minio", "key": "secret_key"}
    }
    assert made["KAFKA_SASLPASSWORD"] == {"secretKeyRef": {"name": "sasl", "key": "password"}}
    pulsar = {"type": "pulsar", "address": "p", "secret": "pulsar-token"}
    made = _environment(make_spec(message_log=pulsar), "proxy")
    assert made["PULSAR_AUTHPARAMS"]["secretKeyRef"]["name"] == "pulsar-token"


@pytest.mark.parametrize(
    ("version", "known"), [("2.3.5", False), ("2.4.7", False), ("2.4.8", True), ("2.6.2", True)]
)
def test_the_root_password_is_given_where_the_version_takes_it(
    make_spec: Any, version: str, known: bool
) -> None:
    spec = make_spec(version=version)
    variable = "COMMON_SECURITY_DEFAULTROOTPASSWORD"
    assert (variable in _environment(spec, "coordinator")) is known
    assert variable not in _environment(spec, "proxy")  # who needs it not has it not
    if known:
        reference = _environment(spec, "coordinator")[variable]["secretKeyRef"]
        assert reference == {"name": "kite-root", "key": "password"}


def test_a_server_that_does_not_read_user_yaml_is_told_by_environment(make_spec: Any) -> None:
    old = _environment(make_spec(version="2.3.5", mode="standalone"), "standalone")
    assert old["COMMON_SECURITY_AUTHORIZATIONENABLED"] == "true"
    assert old["ETCD_ENDPOINTS"].startswith("kite-etcd-0.kite-etcd:2379")
    assert old["ETCD_USE_EMBED"] == "false"
    assert old["MINIO_PORT"] == "9000"
    assert old["MQ_TYPE"] == "rocksmq"
    new = _environment(make_spec(version="2.5.16", mode="standalone"), "standalone")
    assert "COMMON_SECURITY_AUTHORIZATIONENABLED" not in new


def test_an_empty_prefix_is_said_too(make_spec: Any, s3: Any) -> None:
    # the image's own default is `files`: segments would lie where no backup looks for them
    spec = make_spec(version="2.3.5", mode="standalone", minio=None, storage=s3)
    assert _environment(spec, "standalone")["MINIO_ROOTPATH"] == ""


def _checksum(spec: Spec, component: str) -> str:
    (found,) = [m for m in build(spec).of(component) if m.kind == "Deployment"]
    return str(found.body["spec"]["template"]["metadata"]["annotations"]["kitestring/config"])


def test_a_changed_setting_rolls_the_pods_that_read_it(make_spec: Any) -> None:
    before = make_spec()
    everywhere = make_spec(config={"log.level": "debug"})
    query_only = make_spec(config={"queryNode.scheduler.maxReadConcurrentRatio": 2})
    for role in ("proxy", "coordinator", "query_node", "data_node", "index_node"):
        assert _checksum(before, role) != _checksum(everywhere, role)
    for role in ("coordinator", "query_node"):
        assert _checksum(before, role) != _checksum(query_only, role)
    for role in ("proxy", "data_node", "index_node"):
        assert _checksum(before, role) == _checksum(query_only, role)


def test_the_text_is_the_same_for_the_same_spec(make_spec: Any) -> None:
    one, other = make_spec(config={"a.b": 1, "c.d": 2}), make_spec(config={"c.d": 2, "a.b": 1})
    assert config.text(one) == config.text(other)


# --- deployment.config


def test_further_settings_are_passed_on(make_spec: Any) -> None:
    given = {"dataCoord.segment.maxSize": 1024, "log.level": "warn", "minio.useVirtualHost": True}
    made = _settings(make_spec(config=given))
    assert made["dataCoord"]["segment"] == {"maxSize": 1024}
    assert made["log"]["level"] == "warn"
    assert made["log"]["stdout"] is True  # what was there stays
    assert made["minio"]["useVirtualHost"] is True


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("common.security.authorizationEnabled", False, "always on"),
        ("Common.Security.Authorization_Enabled", False, "always on"),
        ("common.security.superUsers", "app", "super user"),
        ("common.security.tlsMode", 0, "security.tls"),
        ("common.security.defaultRootPassword", "x", "secrets never stand"),
        ("minio.secretAccessKey", "x", "secrets never stand"),
        ("kafka.saslPassword", "x", "secrets never stand"),
        ("pulsar.authParams", "token:x", "secrets never stand"),
        ("mq.type", "pulsar", "message_log"),
        ("messageQueue", "pulsar", "message_log"),
        ("minio.bucketName", "other", "`storage`"),
        ("etcd.endpoints", "other:2379", "deployment.etcd"),
        ("proxy.port", 19531, "ports are fixed"),
        ("localStorage.path", "/other", "the spec decides it"),
        ("log", "debug", "not a setting"),
        ("log..level", "debug", "not a setting"),
        ("log.file", "x", "is a section"),
        ("log.stdout.x", 1, "is a value"),
    ],
)
def test_a_setting_that_the_spec_decides_elsewhere_is_refused(
    make_spec: Any, key: str, value: Any, why: str
) -> None:
    with pytest.raises(SpecInvalid, match=why) as caught:
        build(make_spec(config={key: value}))
    assert caught.value.subject == f"deployment.config.{key}"


def test_the_same_setting_twice_is_refused(make_spec: Any) -> None:
    with pytest.raises(SpecInvalid, match=r"same setting as `log\.level`"):
        build(make_spec(config={"log.level": "info", "Log.Level": "debug"}))


# --- what searches notice of a query node that is gone


FAILOVER = {"GRPC_CLIENT_MAXBACKOFF": "1", "GRPC_CLIENT_KEEPALIVETIMEOUT": "3000"}


def test_proxies_turn_to_another_replica_before_the_session_of_a_dead_one_ends(
    make_spec: Any,
) -> None:
    spec = make_spec()
    assert FAILOVER.items() <= _environment(spec, "proxy").items()
    for role in ("coordinator", "query_node", "data_node", "index_node"):
        assert not FAILOVER.keys() & _environment(spec, role).keys(), "the servers' own"


@pytest.mark.parametrize(("version", "wanted"), [("2.3.5", "1"), ("2.4.14", "1"), ("2.4.15", None)])
def test_coordinators_of_older_servers_don_t_wait_for_a_dead_node(
    make_spec: Any, version: str, wanted: str | None
) -> None:
    made = _environment(make_spec(version=version), "coordinator")
    assert made.get("QUERYCOORD_UPDATENEXTTARGETINTERVAL") == wanted
    assert made.get("GRPC_CLIENT_MAXBACKOFF") == wanted


def test_the_spec_wins_over_what_is_set_for_failover(make_spec: Any) -> None:
    given = {"grpc.client.maxBackOff": 5, "queryCoord.UpdateNextTargetInterval": 7}
    old, new = (make_spec(config=given, version=v) for v in ("2.3.5", "2.5.16"))
    assert _environment(old, "proxy")["GRPC_CLIENT_MAXBACKOFF"] == "5"
    assert _environment(old, "coordinator")["QUERYCOORD_UPDATENEXTTARGETINTERVAL"] == "7"
    assert "GRPC_CLIENT_MAXBACKOFF" not in _environment(new, "proxy"), "it is in user.yaml"
    assert _environment(new, "proxy")["GRPC_CLIENT_KEEPALIVETIMEOUT"] == "3000"
