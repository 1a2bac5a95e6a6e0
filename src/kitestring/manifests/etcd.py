"""etcd, the metadata store: one, three or five members.

The members are those of the first start (`new`): a member that restarts finds its data and
takes no notice of the initial settings. One that has lost its volume is refused by the others
and says so ("already bootstrapped"), as it must: remove it and add it again with etcdctl. The
image has no shell, so everything is said by environment.
"""

from __future__ import annotations

from typing import Final

from kitestring.manifests import pods, stateful
from kitestring.manifests.base import Manifest
from kitestring.manifests.images import image
from kitestring.manifests.labels import deployment_of, object_name
from kitestring.spec.deployment import Etcd, Resources
from kitestring.spec.models import Spec

COMPONENT: Final = "etcd"
CLIENT_PORT, PEER_PORT, METRICS_PORT = 2379, 2380, 2381
QUOTA_BYTES = 4 * 2**30  # what Milvus recommends; etcd's own default is 2 GiB
DEFAULT_RESOURCES = Resources(cpu="1", memory="4Gi")
DEFAULT_SIZE = "10Gi"
_DIRECTORY = "/var/lib/etcd"


def _settings(spec: Spec, etcd: Etcd) -> dict[str, str]:
    own = f"http://{stateful.own_host(spec, COMPONENT)}"
    members = (
        f"{object_name(spec, COMPONENT)}-{i}=http://{stateful.host(spec, COMPONENT, i)}:{PEER_PORT}"
        for i in range(etcd.replicas)
    )
    return {
        "ETCD_NAME": "$(POD_NAME)",
        "ETCD_DATA_DIR": f"{_DIRECTORY}/data",
        "ETCD_LISTEN_CLIENT_URLS": f"http://0.0.0.0:{CLIENT_PORT}",
        "ETCD_ADVERTISE_CLIENT_URLS": f"{own}:{CLIENT_PORT}",
        "ETCD_LISTEN_PEER_URLS": f"http://0.0.0.0:{PEER_PORT}",
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"{own}:{PEER_PORT}",
        "ETCD_LISTEN_METRICS_URLS": f"http://0.0.0.0:{METRICS_PORT}",
        "ETCD_INITIAL_CLUSTER": ",".join(members),
        "ETCD_INITIAL_CLUSTER_STATE": "new",
        "ETCD_INITIAL_CLUSTER_TOKEN": object_name(spec, COMPONENT),
        # Milvus never reads old revisions: a thousand are kept, as its own deployments do
        "ETCD_AUTO_COMPACTION_MODE": "revision",
        "ETCD_AUTO_COMPACTION_RETENTION": "1000",
        "ETCD_QUOTA_BACKEND_BYTES": str(QUOTA_BYTES),
        "ETCD_SNAPSHOT_COUNT": "50000",
    }


def manifests(spec: Spec) -> tuple[Manifest, ...]:
    """The claims, Service, StatefulSet and budget of etcd; nothing where the spec names one."""
    deployment = deployment_of(spec)
    etcd = deployment.etcd
    if etcd.endpoints:
        return ()
    store = stateful.Store(
        component=COMPONENT,
        replicas=etcd.replicas,
        ports={"client": CLIENT_PORT, "peer": PEER_PORT, "metrics": METRICS_PORT},
        volume=etcd.volume,
        default_size=DEFAULT_SIZE,
        grace=60,  # a leader hands over first
        spec_path=("deployment", "etcd"),
    )
    # a member without a quorum, or with its space used up, is not helped by a restart
    alive = pods.http_get("/health?serializable=true&exclude=NOSPACE", "metrics")
    container = {
        "name": COMPONENT,
        "image": image(spec, COMPONENT),
        "imagePullPolicy": deployment.images.pull_policy,
        "command": ["/usr/local/bin/etcd"],
        "env": stateful.env(_settings(spec, etcd)),
        "ports": stateful.container_ports(store),
        "resources": pods.resources(etcd.resources, DEFAULT_RESOURCES),
        "securityContext": pods.container_security(),
        "startupProbe": pods.probe(alive, period=2, failures=150, timeout=2),
        "livenessProbe": pods.probe(alive, period=10, failures=6, timeout=5),
        "readinessProbe": pods.probe(
            pods.http_get("/health", "metrics"), period=5, failures=3, timeout=5
        ),
        "volumeMounts": [{"name": "data", "mountPath": _DIRECTORY}],
    }
    return stateful.bundle(spec, store, stateful.stateful_set(spec, store, container))
