"""The MinIO of a deployment, reached from outside of its cluster by a port-forward."""

from __future__ import annotations

import atexit
from contextlib import ExitStack

from kitestring.clients.milvus.way import SecretKey, way_of
from kitestring.clients.store.protocol import ObjectStore
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.stores import S3Store

_PORT = 9000


def is_bundled(loaded: LoadedSpec, store: S3Store) -> bool:
    """Whether the segments are in a MinIO that only a port-forward leads to."""
    spec = loaded.spec
    return (
        spec.connection.kubernetes is not None
        and spec.deployment is not None
        and spec.deployment.minio is not None
        and store.endpoint_url is None
    )


def open_bundled(loaded: LoadedSpec, store: S3Store) -> ObjectStore:
    """The bucket of the deployment's own MinIO. The port-forward lives as long as the process.

    Raises:
        SecretMissing: the Secret with MinIO's keys is not there.
        KubernetesUnreachable, KubernetesDenied, KubernetesError: no port-forward was possible.
    """
    from kitestring.clients.kube.portforward import forwarded
    from kitestring.clients.milvus.connect import kube_secret
    from kitestring.clients.store.s3 import S3Store as Bucket

    name, way = f"{loaded.spec.cluster.name}-minio", way_of(loaded)
    if way.forward is None:
        raise ValueError("the segments are not in a MinIO of a deployment")
    to = way.forward
    keys = {key: kube_secret(way, SecretKey(name, key)) for key in ("access_key", "secret_key")}
    opened = ExitStack()
    host, port = opened.enter_context(
        forwarded(to.namespace, name, _PORT, to.context, to.kubeconfig)
    )
    atexit.register(opened.close)  # stores are not closed
    return Bucket(
        store.bucket,
        prefix="",
        endpoint_url=f"http://{host}:{port}",
        region=store.region,
        access_key=keys["access_key"],
        secret_key=keys["secret_key"],
    )
