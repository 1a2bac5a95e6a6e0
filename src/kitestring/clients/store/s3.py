"""An object store in a bucket of S3, or of a server that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's base of what keeps an endpoint from answering
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from kitestring.clients.store.protocol import (
    HashingReader,
    ObjectInfo,
    ObjectStore,
    check_key,
    chunks,
    join,
    sha256_of,
)
from kitestring.errors import ObjectMissing, StoreError, StoreFull, StoreUnreachable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_PART = 8 * 1024 * 1024  # bytes of one part of a multipart upload
_MISSING = {"NoSuchKey", "404", "NotFound"}
_EXISTS = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_FULL = {
    "XMinioStorageFull",
    "InsufficientStorage",
    "507",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
}
_KEYS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "403",
    "Forbidden",
    "ExpiredToken",
    "InvalidToken",
}


class S3Store:
    """Objects of one bucket below one prefix.

    Args:
        prefix: every key is below it.
        endpoint_url: None for AWS.
        access_key, secret_key: empty for boto3's default chain.
        threads: connections that are kept for concurrent callers.
    """

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        endpoint_url: str | None = None,
        region: str | None = None,
        access_key: str = "",
        secret_key: str = "",
        threads: int = 16,
        timeout: float = 20.0,
    ) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.endpoint_url = endpoint_url
        self._access_key = access_key
        self._config = TransferConfig(
            multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=2
        )
        # a session of its own: boto3's default session is shared by the whole process
        self._client: S3Client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=region or ("us-east-1" if endpoint_url else None),
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            config=Config(
                max_pool_connections=threads * 2,
                connect_timeout=timeout / 2,
                read_timeout=timeout * 3,
                retries={"max_attempts": 4, "mode": "standard"},
                s3={"addressing_style": "path"} if endpoint_url else {},
            ),
        )

    @property
    def url(self) -> str:
        return f"s3://{join(self.bucket, self.prefix)}"

    def _key(self, key: str) -> str:
        return join(self.prefix, check_key(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        below = f"{self.prefix}/" if self.prefix else ""
        pages = self._client.get_paginator("list_objects_v2")
        with self._translated(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=below + prefix):
                for found in page.get("Contents", []):
                    yield ObjectInfo(
                        found["Key"].removeprefix(below),
                        found["Size"],
                        int(found["LastModified"].timestamp() * 1000),
                    )

    def get(self, key: str) -> bytes:
        with self._translated(key):
            return self._client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read()

    def open(self, key: str) -> BinaryIO:
        with self._translated(key):
            body = self._client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"]
        return cast(BinaryIO, _Body(body, self, key))

    def head(self, key: str) -> ObjectInfo | None:
        try:
            with self._translated(key):
                found = self._client.head_object(Bucket=self.bucket, Key=self._key(key))
        except ObjectMissing:
            return None
        modified = int(found["LastModified"].timestamp() * 1000)
        return ObjectInfo(key, found["ContentLength"], modified)

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        with self._translated(key):
            if isinstance(data, bytes):
                self._client.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)
            else:
                self._client.upload_fileobj(data, self.bucket, self._key(key), Config=self._config)

    def put_new(self, key: str, data: bytes) -> bool:
        try:
            with self._translated(key):
                self._client.put_object(
                    Bucket=self.bucket, Key=self._key(key), Body=data, IfNoneMatch="*"
                )
        except _AlreadyThere:
            return False
        # a server that does not know the condition has just overwritten: the reader decides
        return self.get(key) == data

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        if isinstance(other, S3Store) and self._same_server(other):
            size, digest = sha256_of(other, source_key)
            source: Any = {"Bucket": other.bucket, "Key": other._key(source_key)}
            with self._translated(key):
                self._client.copy(source, self.bucket, self._key(key), Config=self._config)
            copied = self.head(key)
            if copied is None or copied.size != size:
                raise StoreError(f"the copy of {other.url}/{source_key} is not whole", subject=key)
            return size, digest
        with other.open(source_key) as stream:
            reader = HashingReader(stream)
            with self._translated(key):
                self._client.upload_fileobj(
                    cast(BinaryIO, reader), self.bucket, self._key(key), Config=self._config
                )
            for _ in chunks(reader.read):  # nothing is left, unless the upload stopped early
                raise StoreError(f"the copy to {self.url}/{key} is not whole", subject=key)
        return reader.size, reader.sha256

    def server_path(self, key: str) -> str:
        return self._key(key)

    def delete(self, key: str) -> None:
        with self._translated(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def sweep(self, older_than: float) -> int:
        """An upload that was broken off is no object; the bucket's own lifecycle removes it."""
        return 0

    def _same_server(self, other: S3Store) -> bool:
        return (self.endpoint_url, self._access_key) == (other.endpoint_url, other._access_key)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._client_error(error, key) from error
        except S3UploadFailedError as error:
            cause = error.__context__
            if isinstance(cause, ClientError):
                raise self._client_error(cause, key) from error
            raise StoreError(str(error), subject=key) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise StoreUnreachable(
                f"there are no credentials for {self.url}",
                hint="name `access_key` and `secret_key` in the spec, or set AWS_PROFILE",
                subject=self.url,
            ) from error
        except (ConnectionError, EndpointConnectionError, HTTPClientError) as error:
            raise StoreUnreachable(
                f"no object store answers at {self.endpoint_url or 'AWS'} for {self.url}",
                hint="check `endpoint_url` of the store in the spec, and that it runs",
                subject=self.url,
            ) from error
        except BotoCoreError as error:
            raise StoreError(f"{self.url}/{key}: {error}", subject=key) from error

    def _client_error(self, error: ClientError, key: str) -> StoreError:
        details = error.response.get("Error", {})
        code, text = str(details.get("Code", "")), str(details.get("Message", ""))
        if code == "NoSuchBucket":
            return StoreUnreachable(
                f"there is no bucket `{self.bucket}` at {self.endpoint_url or 'AWS'}",
                hint="create it, or correct `bucket` of the store in the spec",
                subject=self.url,
            )
        if code in _MISSING:
            return ObjectMissing(f"there is no object {self.url}/{key}", subject=key)
        if code in _EXISTS:
            return _AlreadyThere(f"{self.url}/{key} is there already", subject=key)
        if code in _FULL:
            return StoreFull(
                f"no space is left in {self.url} ({text or code})",
                hint="free some, or name a larger store in the spec; nothing was half-written",
                subject=self.url,
            )
        if code in _KEYS:
            return StoreUnreachable(
                f"{self.url} refuses the credentials ({code}: {text})",
                hint="check the secrets that `access_key` and `secret_key` of the spec name, and "
                "what the bucket's policy allows",
                subject=self.url,
            )
        return StoreError(f"{self.url}/{key}: {code}: {text}", subject=key)


class _AlreadyThere(StoreError):
    """A conditional write found an object."""


class _Body:
    """The body of an answer as a stream whose errors are ours."""

    def __init__(self, body: Any, store: S3Store, key: str) -> None:
        self._body, self._store, self._key = body, store, key

    def read(self, size: int = -1) -> bytes:
        with self._store._translated(self._key):
            data: bytes = self._body.read(None if size < 0 else size)
            return data

    def close(self) -> None:
        self._body.close()

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
