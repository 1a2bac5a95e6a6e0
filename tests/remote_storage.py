"""Settings that make an embedded server keep its data in a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit


def remote_storage(endpoint: str, bucket: str, root: str) -> Mapping[str, str]:
    """For `running(extra_config=…)`; the keys are those of moto's fixture."""
    at = urlsplit(endpoint)
    return {
        "common.storageType": "remote",
        "minio.address": str(at.hostname),
        "minio.port": str(at.port),
        "minio.accessKeyID": "user",
        "minio.secretAccessKey": "a-secret",
        "minio.useSSL": "false",
        "minio.bucketName": bucket,
        "minio.rootPath": root,
    }
