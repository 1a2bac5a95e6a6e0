"""The deployment that a drill restores to: the spec's own as one server, in a namespace for drills.

Of the spec's deployment it has the version, images, placement, storage class and settings; it has
a metadata store and a MinIO of its own, whatever the source uses, no day-2 jobs, and nothing that
outlives the drill.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kitestring.manifests.base import Bundle
from kitestring.manifests.build import build
from kitestring.manifests.labels import deployment_of
from kitestring.model.versions import MilvusVersion, message_logs
from kitestring.spec.deployment import (
    Deployment,
    Etcd,
    Minio,
    Rocksmq,
    Roles,
    RoleSpec,
    Security,
    Volume,
)
from kitestring.spec.models import Connection, Day2, PortForward, Spec
from kitestring.spec.stores import S3Store

LABEL = "kitestring/drill"
"""Of a drill's namespace: when it was made, in seconds since the epoch."""
_PREFIX = "kitestring-drill-"
_COPIES = 3  # the restored files, what the import writes of them, and the index
_GIB = 1 << 30
_GRACE = 5.0  # seconds that the server may take to end: nobody asks it any more


def new_namespace() -> str:
    """A name that no other drill has."""
    return _PREFIX + secrets.token_hex(5)


def target_spec(source: Spec, namespace: str, size: int, *, there: bool = False) -> Spec:
    """The spec of the target.

    Args:
        namespace: see `new_namespace`.
        size: bytes of the backup, by which volumes are sized.
        there: the namespace is there, and is not made.

    Raises:
        SpecInvalid: the source has no `deployment`.
    """
    own = deployment_of(source)
    gib = max(2, -(-size * _COPIES // _GIB) + 1)
    logs = message_logs(MilvusVersion.parse(own.version), "standalone")
    server = own.roles.standalone or RoleSpec()
    deployment = Deployment(
        version=own.version,
        mode="standalone",
        namespace=namespace,
        create_namespace=not there,
        # a `cluster` says nothing of one server: then the capacity plan does
        roles=Roles(
            standalone=server.model_copy(
                update={"replicas": None, "autoscale": None, "termination_grace": _GRACE}
            )
        ),
        etcd=Etcd(replicas=1, resources=own.etcd.resources, volume=Volume(size="2Gi")),
        minio=Minio(
            replicas=1,
            resources=own.minio.resources if own.minio else None,
            volume=Volume(size=f"{gib}Gi"),
        ),
        message_log=Rocksmq(type="rocksmq", volume=Volume(size="2Gi"))
        if logs[0] == "rocksmq"
        else None,
        images=own.images.model_copy(update={"kitestring": None}),
        placement=own.placement,
        storage_class=own.storage_class,
        keep_volumes=False,
        security=Security(network_policy=own.security.network_policy),
        capacity=own.capacity,
        config=own.config,
    )
    kept = source.connection.kubernetes or PortForward()
    return source.model_copy(
        update={
            "deployment": deployment,
            "connection": Connection(
                kubernetes=PortForward(context=kept.context, kubeconfig=kept.kubeconfig),
                timeout=max(source.connection.timeout, 30.0),
            ),
            "storage": S3Store(type="s3", bucket="milvus", prefix="files", region="us-east-1"),
            "access": None,
            "backup": None,
            "day2": Day2(),
        }
    )


def target_bundle(spec: Spec) -> Bundle:
    """Its manifests; the namespace says that it is a drill's, and since when."""
    bundle = build(spec)
    made = tuple(
        replace(m, body=_labelled(m.body)) if m.kind == "Namespace" else m for m in bundle.manifests
    )
    return replace(bundle, manifests=made)


def _labelled(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = body["metadata"]
    labels = {**metadata.get("labels", {}), LABEL: str(int(time.time()))}
    return {**body, "metadata": {**metadata, "labels": labels}}
