"""Kafka, the message log: one, three or five servers, each broker and controller (KRaft).

Milvus keeps in it what is not yet in a segment file: retention is by time, never by size, and
long enough for a data node that was away. Messages of up to 10 MiB have to pass: Milvus writes
batches of rows as one.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from kitestring.manifests import pods, stateful
from kitestring.manifests.base import Manifest
from kitestring.manifests.dependencies import message_log
from kitestring.manifests.images import image
from kitestring.manifests.labels import deployment_of, metadata, object_name
from kitestring.model.quantity import parse_bytes
from kitestring.spec.deployment import Kafka, Resources
from kitestring.spec.models import Spec

COMPONENT: Final = "kafka"
CLIENT_PORT, CONTROLLER_PORT = 9092, 9093
DEFAULT_RESOURCES = Resources(cpu="1", memory="4Gi")
DEFAULT_SIZE = "50Gi"
MESSAGE_BYTES = 10 * 2**20
RETENTION_HOURS = 7 * 24
_DIRECTORY = "/var/lib/kafka"
_CONFIG = "/etc/kitestring-kafka"

# the node's number is that of its pod; a formatted volume is left as it is
_START = f"""set -eu
sed -e "s/@ORDINAL@/${{POD_NAME##*-}}/g" -e "s/@POD@/$POD_NAME/g" \\
  {_CONFIG}/server.properties > /tmp/server.properties
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted --cluster-id "$CLUSTER_ID" \\
  --config /tmp/server.properties
exec /opt/kafka/bin/kafka-server-start.sh /tmp/server.properties
"""

_LOGGING = """log4j.rootLogger=INFO, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.kafka.request.logger=WARN
log4j.logger.org.apache.kafka.clients=WARN
"""


def cluster_id(spec: Spec) -> str:
    """The id that every volume of this Kafka is formatted with: 16 bytes in URL-safe base64.

    From the cluster's name, so that a server that starts anew on an old volume fits it.
    """
    digest = bytearray(hashlib.sha256(f"kafka/{spec.cluster.name}".encode()).digest()[:16])
    digest[0] &= 0x7F  # the text never begins with `-`, which would read as an option
    return base64.urlsafe_b64encode(bytes(digest)).rstrip(b"=").decode()


def heap_mib(resources: Resources) -> int:
    """The heap of the JVM: half of the pod's memory, the rest is for the page cache; 256 to 6144.

    Above 6 GiB a broker gains nothing (Kafka's documentation, "Hardware and OS").
    """
    return max(256, min(6144, int(parse_bytes(resources.memory) // 2**20 // 2)))


def properties(spec: Spec, kafka: Kafka) -> dict[str, str]:
    """`server.properties`, with `@ORDINAL@` and `@POD@` where servers differ."""
    name, namespace = object_name(spec, COMPONENT), deployment_of(spec).namespace
    copies = min(3, kafka.replicas)
    in_sync = 2 if copies == 3 else 1
    voters = (
        f"{i}@{stateful.host(spec, COMPONENT, i)}:{CONTROLLER_PORT}" for i in range(kafka.replicas)
    )
    return {
        "process.roles": "broker,controller",
        "node.id": "@ORDINAL@",
        "controller.quorum.voters": ",".join(voters),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://:{CLIENT_PORT},CONTROLLER://:{CONTROLLER_PORT}",
        "advertised.listeners": f"PLAINTEXT://@POD@.{name}.{namespace}.svc:{CLIENT_PORT}",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": f"{_DIRECTORY}/data",
        "auto.create.topics.enable": "true",  # Milvus makes its topics by writing to them
        "num.partitions": "1",
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(in_sync),
        "unclean.leader.election.enable": "false",
        "message.max.bytes": str(MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_BYTES),
        "log.retention.hours": str(RETENTION_HOURS),
        "log.retention.bytes": "-1",
        "log.segment.bytes": str(256 * 2**20),  # retention removes whole files: small ones go
        "group.initial.rebalance.delay.ms": "0",
    }


def manifests(spec: Spec) -> tuple[Manifest, ...]:
    """The claims, settings, Service, StatefulSet and budget; nothing for another log."""
    deployment, kafka = deployment_of(spec), message_log(spec)
    if not isinstance(kafka, Kafka) or kafka.brokers:
        return ()
    store = stateful.Store(
        component=COMPONENT,
        replicas=kafka.replicas,
        ports={"client": CLIENT_PORT, "controller": CONTROLLER_PORT},
        volume=kafka.volume,
        default_size=DEFAULT_SIZE,
        grace=60,  # leaders move to others before the server ends
        spec_path=("deployment", "message_log") if deployment.message_log else ("deployment",),
    )
    files = {
        "server.properties": "".join(f"{k}={v}\n" for k, v in properties(spec, kafka).items()),
        "log4j.properties": _LOGGING,
    }
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(spec, COMPONENT, COMPONENT),
        "data": files,
    }
    heap = heap_mib(kafka.resources or DEFAULT_RESOURCES)
    container = {
        "name": COMPONENT,
        "image": image(spec, COMPONENT),
        "imagePullPolicy": deployment.images.pull_policy,
        "command": ["/bin/sh", "-c", _START],
        "env": stateful.env(
            {
                "CLUSTER_ID": cluster_id(spec),
                "KAFKA_HEAP_OPTS": f"-Xms{heap}m -Xmx{heap}m",
                "KAFKA_LOG4J_OPTS": f"-Dlog4j.configuration=file:{_CONFIG}/log4j.properties",
                "EXTRA_ARGS": "-name kafkaServer",  # the script's own would log GC to a file
                "LOG_DIR": "/tmp/logs",  # noqa: S108 - a volume of the pod's own
            }
        ),
        "ports": stateful.container_ports(store),
        "resources": pods.resources(kafka.resources, DEFAULT_RESOURCES),
        "securityContext": pods.container_security(),
        "startupProbe": pods.probe(pods.tcp("client"), period=2, failures=150, timeout=2),
        "livenessProbe": pods.probe(pods.tcp("client"), period=10, failures=6, timeout=5),
        "readinessProbe": pods.probe(pods.tcp("client"), period=5, failures=3, timeout=5),
        "volumeMounts": [
            {"name": "data", "mountPath": _DIRECTORY},
            {"name": "config", "mountPath": _CONFIG, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
    pod_set = stateful.stateful_set(
        spec,
        store,
        container,
        extra_volumes=[
            {"name": "config", "configMap": {"name": object_name(spec, COMPONENT)}},
            {"name": "tmp", "emptyDir": {}},
        ],
        # other settings are other pods
        annotations={"kitestring/config": stateful.checksum(files)},
    )
    return stateful.bundle(spec, store, pod_set, settings)
