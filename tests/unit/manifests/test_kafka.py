"""Kafka: ids that do not change, messages that are large enough, copies that are enough."""

from __future__ import annotations

import base64
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.manifests import kafka
from kitestring.spec.deployment import Resources


def _log(replicas: int, **more: Any) -> dict[str, Any]:
    return {"type": "kafka", "replicas": replicas, **more}


def _found(make_spec: Any, kind: str, **deployment: Any) -> Any:
    manifests = kafka.manifests(make_spec(**deployment))
    (one,) = [m for m in manifests if m.kind == kind]
    return one.body


def _properties(make_spec: Any, replicas: int) -> dict[str, str]:
    config = _found(make_spec, "ConfigMap", message_log=_log(replicas))
    lines = config["data"]["server.properties"].splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_it_is_the_log_of_a_cluster_that_names_none(make_spec: Any) -> None:
    assert _found(make_spec, "StatefulSet")["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    "deployment",
    [
        {"message_log": {"type": "kafka", "brokers": ["kafka.infra.svc:9092"]}},
        {"message_log": {"type": "pulsar", "address": "pulsar.infra.svc"}},
        {"mode": "standalone", "version": "2.3.5"},
        {"version": "2.6.1"},
    ],
)
def test_it_is_not_made_where_the_log_is_another(make_spec: Any, deployment: Any) -> None:
    assert kafka.manifests(make_spec(**deployment)) == ()


@pytest.mark.parametrize(
    ("servers", "copies", "in_sync"), [(1, "1", "1"), (3, "3", "2"), (5, "3", "2")]
)
def test_copies_fit_the_number_of_servers(
    make_spec: Any, servers: int, copies: str, in_sync: str
) -> None:
    found = _properties(make_spec, servers)
    assert found["default.replication.factor"] == copies
    assert found["offsets.topic.replication.factor"] == copies
    assert found["transaction.state.log.replication.factor"] == copies
    assert found["min.insync.replicas"] == in_sync
    assert found["transaction.state.log.min.isr"] == in_sync
    assert found["unclean.leader.election.enable"] == "false"
    voters = found["controller.quorum.voters"].split(",")
    assert voters == [f"{i}@kite-kafka-{i}.kite-kafka.ns.svc:9093" for i in range(servers)]


def test_milvus_messages_pass_and_are_copied(make_spec: Any) -> None:
    found = _properties(make_spec, 3)
    assert int(found["message.max.bytes"]) >= 10 * 1024**2
    assert int(found["replica.fetch.max.bytes"]) >= int(found["message.max.bytes"])


def test_the_log_is_cut_by_time_and_never_by_size(make_spec: Any) -> None:
    found = _properties(make_spec, 3)
    assert found["log.retention.bytes"] == "-1"
    assert int(found["log.retention.hours"]) >= 72


def test_the_start_formats_only_what_is_new_and_takes_its_number_from_its_pod(
    make_spec: Any,
) -> None:
    pod = _found(make_spec, "StatefulSet")["spec"]["template"]["spec"]
    script = pod["containers"][0]["command"][-1]
    assert "format --ignore-formatted" in script
    assert "${POD_NAME##*-}" in script
    assert "exec /opt/kafka/bin/kafka-server-start.sh" in script  # it gets the signals
    config = _found(make_spec, "ConfigMap")["data"]["server.properties"]
    assert "node.id=@ORDINAL@" in config
    assert "advertised.listeners=PLAINTEXT://@POD@.kite-kafka.ns.svc:9092" in config


def test_another_setting_makes_new_pods(make_spec: Any) -> None:
    def annotation(replicas: int) -> dict[str, str]:
        body = _found(make_spec, "StatefulSet", message_log=_log(replicas))
        return dict(body["spec"]["template"]["metadata"]["annotations"])

    assert annotation(1) == annotation(1)
    assert annotation(1) != annotation(3)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True))
def test_the_cluster_id_is_one_that_kafka_takes(make_spec: Any, name: str) -> None:
    spec = make_spec(name=name)
    made = kafka.cluster_id(spec)
    assert made == kafka.cluster_id(make_spec(name=name, namespace="other"))
    assert len(base64.urlsafe_b64decode(made + "==")) == 16
    assert set(made) <= set(string.ascii_letters + string.digits + "-_")
    assert not made.startswith("-")


def test_two_clusters_have_two_ids(make_spec: Any) -> None:
    assert kafka.cluster_id(make_spec(name="a")) != kafka.cluster_id(make_spec(name="b"))


@pytest.mark.parametrize(
    ("memory", "heap"), [("4Gi", 2048), ("768Mi", 384), ("32Gi", 6144), ("256Mi", 256)]
)
def test_the_heap_is_half_of_the_memory(memory: str, heap: int) -> None:
    assert kafka.heap_mib(Resources(cpu="1", memory=memory)) == heap


def test_the_jvm_gets_that_heap_and_writes_below_volumes_only(make_spec: Any) -> None:
    log = _log(1, resources={"cpu": "1", "memory": "2Gi"})
    pod = _found(make_spec, "StatefulSet", message_log=log)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    env = {e["name"]: e.get("value", "") for e in container["env"]}
    assert env["KAFKA_HEAP_OPTS"] == "-Xms1024m -Xmx1024m"
    mounts = [m["mountPath"] for m in container["volumeMounts"]]
    data = _properties(make_spec, 1)["log.dirs"]
    for directory in (data, env["LOG_DIR"]):
        assert any(directory.startswith(f"{mount}/") for mount in mounts)
