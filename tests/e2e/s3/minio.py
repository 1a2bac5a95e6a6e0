"""A MinIO server as a process: a real S3 server, with versions, object lock and a key service."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KMS_KEY = "kitestring-test"
_TIMEOUT = 90.0  # seconds until it answers, on a machine that does other things too


@dataclass(frozen=True)
class Minio:
    """A running server and the keys of its root user."""

    port: int
    host: str = "127.0.0.1"
    access_key: str = "kitestring"
    secret_key: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self) -> Any:
        import boto3

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def milvus_config(self, bucket: str, root: str) -> dict[str, str]:
        """What an embedded Milvus needs to keep its data in a bucket."""
        return {
            "common.storageType": "remote",
            "minio.address": self.host,
            "minio.port": str(self.port),
            "minio.bucketName": bucket,
            "minio.rootPath": root,
            "minio.accessKeyID": self.access_key,
            "minio.secretAccessKey": self.secret_key,
            "minio.useSSL": "false",
        }


@contextmanager
def running_minio(program: Path, folder: Path, host: str = "127.0.0.1") -> Iterator[Minio]:
    """A server with its data below `folder`; it ends with the block.

    Args:
        host: the address of this machine that it listens on.

    Raises:
        RuntimeError: it did not answer in time; the message ends with its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = Minio(_free_port(host), host)
    environment: Mapping[str, str] = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "MINIO_ROOT_USER": server.access_key,
        "MINIO_ROOT_PASSWORD": server.secret_key,
        "MINIO_KMS_SECRET_KEY": f"{KMS_KEY}:{base64.b64encode(os.urandom(32)).decode()}",
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    log = folder / "minio.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, "server", folder / "data", "--address", f"{host}:{server.port}"],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(server, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(server: Minio, process: subprocess.Popen[bytes], log: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client, deadline = server.client(), time.monotonic() + _TIMEOUT
    while True:
        try:
            client.list_buckets()
            return
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                text = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"MinIO did not answer: {error}\n{text}") from error
            time.sleep(0.1)


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
