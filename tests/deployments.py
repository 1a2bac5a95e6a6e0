"""Specs with a deployment, for Hypothesis: whatever the rules of the spec allow."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from kitestring.model.versions import MilvusVersion, message_logs, roles
from kitestring.spec.crosscheck import crosscheck
from kitestring.spec.models import Spec
from kitestring.spec.types import FROM_FILE

VERSIONS = ("2.3.5", "2.4.5", "2.4.15", "2.5.16", "2.6.2")
_KEYS = {"access_key": {"env": "S3_ACCESS_KEY"}, "secret_key": {"env": "S3_SECRET_KEY"}}

_resources = st.fixed_dictionaries(
    {"cpu": st.sampled_from(["500m", "2"]), "memory": st.sampled_from(["4Gi", "16Gi"])},
    optional={"cpu_limit": st.just("4"), "ephemeral": st.just("10Gi")},
)
_volume = st.fixed_dictionaries(
    {"size": st.sampled_from(["10Gi", "1Ti"])}, optional={"storage_class": st.just("fast-ssd")}
)
_placement = st.fixed_dictionaries(
    {},
    optional={
        "node_selector": st.just({"disk": "nvme"}),
        "tolerations": st.just([{"key": "milvus", "operator": "Exists", "effect": "NoSchedule"}]),
        "priority_class": st.just("system-cluster-critical"),
        "spread": st.sampled_from(["required", "preferred", "none"]),
    },
)
_autoscale = st.fixed_dictionaries(
    {
        "minimum": st.integers(1, 3),
        "maximum": st.integers(3, 9),
        "cpu_percent": st.integers(1, 100),
    },
    optional={"memory_percent": st.integers(1, 100)},
)
_digest = "@sha256:" + "ab" * 32
_images = st.fixed_dictionaries(
    {},
    optional={
        "registry": st.sampled_from(["mirror.example.com", "mirror.example.com:5000/hub"]),
        "pull_policy": st.sampled_from(["Always", "Never"]),
        "pull_secrets": st.just(["registry"]),
        "milvus": st.sampled_from(["milvusdb/milvus:v2.5.0", "localhost:5000/m" + _digest]),
        "etcd": st.just("etcd" + _digest),
        "kitestring": st.just("example.com/kitestring:1.0"),
    },
)
_security = st.fixed_dictionaries(
    {},
    optional={
        "tls": st.sampled_from([{"type": "generated"}, {"type": "secret", "secret": "own-tls"}]),
        "network_policy": st.booleans(),
        "client_namespaces": st.just(["rag"]),
        "client_cidrs": st.just(["10.0.0.0/8"]),
    },
)
_etcd = st.one_of(
    st.just({"endpoints": ["etcd.infra.svc:2379"], "root_path": "kite"}),
    st.fixed_dictionaries(
        {"replicas": st.sampled_from([1, 3, 5])},
        optional={"resources": _resources, "volume": _volume},
    ),
)
_minio = st.fixed_dictionaries(
    {"replicas": st.sampled_from([1, 4])}, optional={"resources": _resources, "volume": _volume}
)
_identity = st.fixed_dictionaries(
    {"service_account": st.just("milvus"), "provider": st.sampled_from(["aws", "gcp", "azure"])},
    optional={"annotations": st.just({"example.com/role": "milvus"})},
)
_logs = {
    "rocksmq": st.fixed_dictionaries({"type": st.just("rocksmq")}, optional={"volume": _volume}),
    "woodpecker": st.just({"type": "woodpecker"}),
    "pulsar": st.just({"type": "pulsar", "address": "pulsar.infra.svc", "secret": "pulsar"}),
    "kafka": st.one_of(
        st.just({"type": "kafka", "brokers": ["kafka.infra.svc:9092"], "secret": "kafka"}),
        st.fixed_dictionaries(
            {"type": st.just("kafka"), "replicas": st.sampled_from([1, 3])},
            optional={"resources": _resources, "volume": _volume},
        ),
    ),
}


@st.composite
def _role(draw: st.DrawFn, name: str) -> dict[str, Any]:
    made: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "resources": _resources,
                "placement": _placement,
                "termination_grace": st.sampled_from(["45s", "1h"]),
            },
        )
    )
    if name in ("query_node", "standalone") and draw(st.booleans()):
        made["disk"] = draw(_volume)
    if name in ("proxy", "query_node") and draw(st.booleans()):
        made["autoscale"] = draw(_autoscale)
    elif name != "standalone" and draw(st.booleans()):
        made["replicas"] = draw(st.integers(1, 2 if name == "coordinator" else 4))
    return made


@st.composite
def deployment_data(draw: st.DrawFn) -> dict[str, Any]:
    """A spec with a deployment, as a file would hold it."""
    version = draw(st.sampled_from(VERSIONS))
    mode = draw(st.sampled_from(["standalone", "cluster"]))
    parsed = MilvusVersion.parse(version)
    deployment: dict[str, Any] = {
        "version": version,
        "mode": mode,
        "namespace": "ns",
        "roles": {name: draw(_role(name)) for name in roles(parsed, mode) if draw(st.booleans())},
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "create_namespace": st.booleans(),
        "etcd": _etcd,
        "images": _images,
        "placement": _placement,
        "storage_class": st.just("standard"),
        "keep_volumes": st.booleans(),
        "security": _security,
        "service": st.sampled_from([{"type": "NodePort"}, {"annotations": {"a.b/c": "d"}}]),
        "config": st.just({"dataCoord.segment.maxSize": 1024, "log.level": "debug"}),
    }
    for key, values in optional.items():
        if draw(st.booleans()):
            deployment[key] = draw(values)
    if draw(st.booleans()):
        log = draw(st.sampled_from(message_logs(parsed, mode)))
        deployment["message_log"] = draw(_logs[log])
    storage: dict[str, Any] = {"type": "s3", "bucket": "segments"}
    storage |= draw(
        st.fixed_dictionaries(
            {}, optional={"prefix": st.just("files"), "region": st.just("eu-central-1")}
        )
    )
    way = draw(st.sampled_from(["minio", "identity", "keys"]))
    if way == "minio":
        deployment["minio"] = draw(_minio)
    elif way == "identity":
        deployment["identity"] = draw(_identity)
    else:
        storage |= _KEYS | draw(
            st.fixed_dictionaries(
                {}, optional={"endpoint_url": st.just("https://s3.example.com:9000")}
            )
        )
    return {
        "version": 1,
        "cluster": {
            "name": draw(st.sampled_from(["kite", "a-cluster-with-a-name-of-forty-letters-x"]))
        },
        "connection": {"uri": "http://milvus:19530"},
        "state": "state",
        "storage": storage,
        "deployment": deployment,
    }


def specs() -> st.SearchStrategy[Spec]:
    """Specs with a deployment that nothing is wrong with."""
    return (
        deployment_data()
        .filter(lambda data: not list(crosscheck(data)))
        .map(lambda data: Spec.model_validate(data, context=FROM_FILE))
    )
