"""An object store in a bucket of S3, or of a server that speaks its protocol."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from kitestring.clients.store.protocol import (
    HashingReader,
    ObjectInfo,
    ObjectStore,
    bare,
    check_key,
    join,
    sha256_of,
)
from kitestring.clients.store.s3_errors import TRANSLATED, AlreadyThere, translated
from kitestring.clients.store.s3_upload import PART, copy_parts, parts_of, upload_parts
from kitestring.clients.store.s3_versions import Version, deleted_versions
from kitestring.errors import ObjectMissing, StoreError, StoreUnreachable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_COPY_LIMIT = 5 * 1024**3  # bytes that S3 copies in one request
_PUT_LIMIT = 64 * 1024**2  # bytes that we send in one request
_STALE = 24 * 3600.0  # seconds after which an upload is nobody's: a throttled one takes hours
_NO_LOCK = {"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration"}


class S3Store:
    """Objects of one bucket below one prefix.

    Args:
        prefix: every key is below it.
        endpoint_url: None for AWS.
        access_key, secret_key: empty for boto3's default chain.
        encryption: `AES256` or `aws:kms`, asked for with every object that is written or copied.
        kms_key_id: the key for `aws:kms`; None for the account's own.
        threads: connections that are kept for concurrent callers.
        timeout: seconds to connect (half of it) and without a byte (three times).
        attempts, retry_mode: botocore's own retries; `adaptive` also slows down when told to.
        checked: the caller compares what it reads with checksums of its own, so botocore need
            not compute the store's, which is half of what a read costs.
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
        encryption: str | None = None,
        kms_key_id: str | None = None,
        threads: int = 16,
        timeout: float = 20.0,
        attempts: int = 4,
        retry_mode: str = "standard",
        checked: bool = False,
    ) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.endpoint_url = endpoint_url
        self._access_key = access_key
        self._options: dict[str, Any] = {}
        if encryption is not None:
            self._options["ServerSideEncryption"] = encryption
        if kms_key_id is not None:
            self._options["SSEKMSKeyId"] = kms_key_id
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
                retries=cast(Any, {"total_max_attempts": attempts, "mode": retry_mode}),
                s3={"addressing_style": "path"} if endpoint_url else {},
                response_checksum_validation="when_required" if checked else "when_supported",
            ),
        )

    @property
    def url(self) -> str:
        return f"s3://{join(self.bucket, self.prefix)}"

    def _key(self, key: str) -> str:
        return join(self.prefix, check_key(key))

    def _place(self, key: str) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self._key(key)}

    # --- reading

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        below = f"{self.prefix}/" if self.prefix else ""
        pages = self._client.get_paginator("list_objects_v2")
        with self._translated(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=below + prefix):
                for found in page.get("Contents", []):
                    if found["Key"].endswith("/"):
                        continue  # what consoles make a folder of: the key of no object
                    yield ObjectInfo(
                        found["Key"].removeprefix(below),
                        found["Size"],
                        int(found["LastModified"].timestamp() * 1000),
                    )

    def get(self, key: str) -> bytes:
        with self._translated(key):
            return self._client.get_object(**self._place(key))["Body"].read()

    def open(self, key: str) -> BinaryIO:
        with self._translated(key):
            body = self._client.get_object(**self._place(key))["Body"]
        return cast(BinaryIO, _Body(body, self, key))

    def head(self, key: str) -> ObjectInfo | None:
        try:
            with self._translated(key):
                found = self._client.head_object(**self._place(key))
        except ObjectMissing:
            return None
        modified = int(found["LastModified"].timestamp() * 1000)
        return ObjectInfo(key, found["ContentLength"], modified)

    # --- writing

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        """A stream may be of any length up to 500 GB: two parts of it are in memory at most."""
        with self._translated(key):
            if isinstance(data, bytes) and len(data) <= _PUT_LIMIT:
                self._client.put_object(**self._place(key), Body=data, **self._options)
            else:
                self._upload(key, BytesIO(data) if isinstance(data, bytes) else data)

    def _upload(self, key: str, stream: BinaryIO | HashingReader) -> None:
        parts = parts_of(stream.read)
        first = next(parts)
        if len(first) < PART:
            self._client.put_object(**self._place(key), Body=first, **self._options)
            return
        all_parts = chain([first], parts)
        del first  # a part is in memory once
        upload_parts(self._client, self._place(key), all_parts, self._options)

    def put_new(self, key: str, data: bytes) -> bool:
        try:
            with self._translated(key):
                self._client.put_object(
                    **self._place(key), Body=data, IfNoneMatch="*", **self._options
                )
        except AlreadyThere:
            return False
        # a server that does not know the condition has just overwritten: the reader decides
        return self.get(key) == data

    def copy_from(self, other: ObjectStore, source_key: str, key: str) -> tuple[int, str]:
        """On the server where both are on it, with the SHA-256 that the server computes; else
        through this machine."""
        source = bare(other)
        if isinstance(source, S3Store) and self.copies_within(source):
            return self._copy(source, source_key, key)
        with other.open(source_key) as stream:
            reader = HashingReader(stream)
            with self._translated(key):
                self._upload(key, reader)
        return reader.size, reader.sha256

    def copies_within(self, other: ObjectStore) -> bool:
        """Whether a copy from the other store does not pass through this machine."""
        return isinstance(other, S3Store) and self._same_server(other)

    def _copy(self, other: S3Store, source_key: str, key: str) -> tuple[int, str]:
        """One request to copy, one for size and checksum: not every server answers a copy with
        its checksum. A server that keeps none is asked for the object."""
        source = other._place(source_key)
        with self._translated(key, missing=f"{other.url}/{source_key}"):
            try:
                self._client.copy_object(
                    **self._place(key),
                    CopySource=source,  # type: ignore[arg-type]
                    ChecksumAlgorithm="SHA256",
                    **self._options,
                )
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code")
                if code not in ("InvalidRequest", "EntityTooLarge", "InvalidArgument"):
                    raise
                found = self._client.head_object(**source)
                if found["ContentLength"] <= _COPY_LIMIT:
                    raise
                copy_parts(
                    self._client, source, self._place(key), found["ContentLength"],
                    found["ETag"], self._options,
                )  # fmt: skip
            done = self._client.head_object(**self._place(key), ChecksumMode="ENABLED")
        digest = _whole_sha256(done)
        return (done["ContentLength"], digest) if digest else sha256_of(self, key)

    def server_path(self, key: str) -> str:
        return self._key(key)

    def delete(self, key: str) -> None:
        with self._translated(key):
            self._client.delete_object(**self._place(key))

    def sweep(self, older_than: float) -> int:
        """Aborts uploads below the prefix that were begun a day ago or more.

        Without a prefix the bucket may be others' too, and where the credentials may not list
        uploads they stay: the bucket's own lifecycle rule removes them.
        """
        if not self.prefix:
            return 0
        aborted = 0
        try:
            for upload in self._uploads():
                if time.time() - upload["Initiated"].timestamp() < max(older_than, _STALE):
                    continue
                with self._translated(upload["Key"]):
                    self._client.abort_multipart_upload(
                        Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                aborted += 1
        except (StoreUnreachable, ObjectMissing):
            return aborted
        return aborted

    def _uploads(self) -> Iterator[dict[str, Any]]:
        # not every server lists by a prefix that is no whole key
        pages = self._client.get_paginator("list_multipart_uploads")
        with self._translated(""):
            for page in pages.paginate(Bucket=self.bucket):
                for upload in page.get("Uploads", []):
                    if upload["Key"].startswith(f"{self.prefix}/"):
                        yield cast("dict[str, Any]", upload)

    # --- the bucket

    def check(self) -> None:
        """Raises StoreUnreachable when the bucket is not there, is in another region, or does
        not take the credentials."""
        with self._translated(""):
            self._client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)

    def versioning(self) -> bool:
        """Whether the bucket keeps the versions of an object."""
        with self._translated(""):
            found = self._client.get_bucket_versioning(Bucket=self.bucket)
        return found.get("Status") == "Enabled"

    def deleted_versions(self, prefix: str) -> Iterator[Version]:
        """What is left of deleted objects whose keys begin with `prefix` (see `Version`; keys are
        the store's). Nothing where the bucket never kept versions."""
        with self._translated(prefix):
            if not self._client.get_bucket_versioning(Bucket=self.bucket).get("Status"):
                return
            below = f"{self.prefix}/" if self.prefix else ""
            for found in deleted_versions(self._client, self.bucket, below + prefix):
                yield replace(found, key=found.key.removeprefix(below))

    def delete_version(self, version: Version) -> None:
        """Removes one for ever. Raises StoreError where a lock or the credentials forbid it."""
        with self._translated(version.key):
            self._client.delete_object(**self._place(version.key), VersionId=version.id)

    def object_lock(self) -> str | None:
        """The default retention in words, empty where there is none; None without object lock."""
        try:
            found = self._client.get_object_lock_configuration(Bucket=self.bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NO_LOCK:
                return None
            raise self._error(error, "") from error
        except TRANSLATED as error:
            raise self._error(error, "") from error
        lock = found.get("ObjectLockConfiguration", {})
        if lock.get("ObjectLockEnabled") != "Enabled":
            return None
        rule: Any = lock.get("Rule", {}).get("DefaultRetention", {})
        span = f"{rule['Days']} days" if "Days" in rule else f"{rule.get('Years')} years"
        return f"{rule['Mode'].lower()}, {span}" if rule else ""

    def _same_server(self, other: S3Store) -> bool:
        return (self.endpoint_url, self._access_key) == (other.endpoint_url, other._access_key)

    def _error(self, error: Exception, key: str) -> StoreError:
        return translated(
            error, bucket=self.bucket, endpoint=self.endpoint_url, key=join(self.prefix, key)
        )

    @contextmanager
    def _translated(self, key: str, *, missing: str = "") -> Iterator[None]:
        """Errors as ours. `missing`: what an answer that something is not there is about."""
        try:
            yield
        except TRANSLATED as error:
            found = self._error(error, key)
            if missing and isinstance(found, ObjectMissing):
                found = ObjectMissing(f"there is no object {missing}", subject=missing)
            raise found from error


def _whole_sha256(found: Any) -> str:
    """SHA-256 in hex of a whole object, of an answer's headers; empty where they have none.

    A checksum over the parts' checksums (`COMPOSITE`, or with the parts' number behind it) is not
    that of the object.
    """
    text = found.get("ChecksumSHA256", "")
    if not text or "-" in text or found.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return ""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return ""
    return raw.hex() if len(raw) == hashlib.sha256().digest_size else ""


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
