"""Changes that a live cluster does not survive."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kitestring.model.transition import DeployedFacts, VolumeFacts, transition
from kitestring.model.versions import MilvusVersion

GI = 2**30
LIVE = DeployedFacts(
    version=MilvusVersion(2, 5, 16),
    mode="cluster",
    message_log="kafka",
    etcd_members=3,
    etcd_root_path="prod",
    etcd_endpoints=(),
    bucket="milvus",
    prefix="files",
    storage_endpoint="",
    minio_replicas=4,
    kafka_replicas=3,
    volumes={"etcd": VolumeFacts(20 * GI, "fast"), "query_node": VolumeFacts(100 * GI)},
)


def test_the_same_is_no_change() -> None:
    assert transition(LIVE, LIVE) == []


def test_what_is_not_known_stands_against_nothing() -> None:
    assert transition(DeployedFacts(), LIVE) == []
    assert transition(LIVE, DeployedFacts()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": MilvusVersion(2, 6, 1)},
        {"volumes": {"etcd": VolumeFacts(40 * GI, "fast")}},
        {"volumes": {"minio": VolumeFacts(1 * GI, "other")}},  # a claim that is not there yet
        {"volumes": {"etcd": VolumeFacts(20 * GI, None)}},  # the class is left to the cluster
    ],
)
def test_changes_that_it_survives(change: dict[str, Any]) -> None:
    assert transition(LIVE, dataclasses.replace(LIVE, **change)) == []


@pytest.mark.parametrize(
    ("change", "code", "field", "message"),
    [
        ({"version": MilvusVersion(2, 4, 8)}, "version", "version",
         "Milvus can't go back from 2.5.16 to 2.4.8: it would not read what 2.5.16 has written"),
        ({"mode": "standalone"}, "mode", "mode",
         "the live deployment is a cluster, the spec asks for a standalone"),
        ({"message_log": "pulsar"}, "message-log", "message_log",
         "the live cluster's message log is kafka, the spec asks for pulsar: Milvus can't change "
         "`mq.type`, what is not flushed would be lost"),
        ({"etcd_root_path": "other"}, "etcd-root-path", "etcd.root_path",
         "the live cluster's root path in etcd is `prod`, the spec asks for `other`: Milvus would "
         "not find its data there"),
        ({"etcd_endpoints": ("a:2379", "b:2379")}, "etcd-endpoints", "etcd.endpoints",
         "the live cluster's metadata store is the provisioned one, the spec asks for `a:2379, "
         "b:2379`: Milvus would not find its data there"),
        ({"bucket": "two"}, "bucket", "storage.bucket",
         "the live cluster's bucket is `milvus`, the spec asks for `two`: Milvus would not find "
         "its data there"),
        ({"prefix": ""}, "prefix", "storage.prefix",
         "the live cluster's prefix in the bucket is `files`, the spec asks for empty: Milvus "
         "would not find its data there"),
        ({"etcd_members": 5}, "etcd-replicas", "etcd.replicas",
         "the number of members of etcd can't change on a live cluster: it is 3, the spec asks "
         "for 5, and the data is not moved"),
        ({"minio_replicas": 8}, "minio-replicas", "minio.replicas",
         "the number of pods of MinIO can't change on a live cluster: it is 4, the spec asks for "
         "8, and the data is not moved"),
        ({"minio_replicas": 0}, "minio-replicas", "minio.replicas",
         "the live cluster's object storage is the provisioned one, the spec asks for another: "
         "Milvus would not find its data there"),
        ({"kafka_replicas": 5}, "message-log-replicas", "message_log.replicas",
         "the number of brokers of Kafka can't change on a live cluster: it is 3, the spec asks "
         "for 5, and the data is not moved"),
        ({"volumes": {"etcd": VolumeFacts(10 * GI)}}, "volume-shrinks", "etcd.volume.size",
         "the volumes of etcd have 20Gi, the spec asks for 10Gi: a volume can't shrink"),
        ({"volumes": {"query_node": VolumeFacts(1536 * 2**20)}}, "volume-shrinks",
         "roles.query_node.disk.size",
         "the volumes of query_node have 100Gi, the spec asks for 1.5Gi: a volume can't shrink"),
        ({"volumes": {"etcd": VolumeFacts(20 * GI, "slow")}}, "storage-class",
         "etcd.volume.storage_class",
         "the volumes of etcd are of the storage class fast, the spec asks for slow: a claim "
         "can't change its class"),
    ],
)  # fmt: skip
def test_changes_that_it_does_not(
    change: dict[str, Any], code: str, field: str, message: str
) -> None:
    found = transition(LIVE, dataclasses.replace(LIVE, **change))
    assert [(r.code, r.field, r.message) for r in found] == [(code, field, message)]
    assert found[0].hint


def test_an_upgrade_without_a_named_log_would_change_it() -> None:
    """From 2.6 a standalone server's own log is woodpecker: a rocksmq has to be named."""
    live = DeployedFacts(MilvusVersion(2, 5, 16), "standalone", "rocksmq")
    wanted = DeployedFacts(MilvusVersion(2, 6, 1), "standalone", "woodpecker")
    found = transition(live, wanted)
    assert [r.code for r in found] == ["message-log"]
    assert found[0].hint == "name it: `message_log: {type: rocksmq}`"


def test_every_refusal_is_in_one_list() -> None:
    wanted = dataclasses.replace(LIVE, bucket="two", message_log="pulsar", etcd_members=1)
    assert [r.code for r in transition(LIVE, wanted)] == [
        "message-log",
        "bucket",
        "etcd-replicas",
    ]
