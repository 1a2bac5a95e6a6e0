"""What a bucket that keeps versions has of objects that were deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True, slots=True)
class Version:
    """A version, or the marker that a deletion has left, of an object that is deleted."""

    key: str  # in the bucket
    id: str
    size: int  # bytes; 0 of a marker
    deleted: int  # ms since the epoch, when the object was


def deleted_versions(client: S3Client, bucket: str, prefix: str) -> Iterator[Version]:
    """All versions and markers of deleted objects below a prefix; of each object the marker that
    hides it comes last, so that whoever removes them in this order never brings one back."""
    gone: dict[str, int] = {}
    latest: dict[str, str] = {}
    older: list[tuple[str, str, int]] = []  # key, version, size
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for marker in page.get("DeleteMarkers", []):
            if marker["IsLatest"]:
                gone[marker["Key"]] = int(marker["LastModified"].timestamp() * 1000)
                latest[marker["Key"]] = marker["VersionId"]
            else:
                older.append((marker["Key"], marker["VersionId"], 0))
        older += [
            (v["Key"], v["VersionId"], v["Size"])
            for v in page.get("Versions", [])
            if not v["IsLatest"]
        ]
    for key, version, size in older:
        if key in gone:
            yield Version(key, version, size, gone[key])
    for key, version in latest.items():
        yield Version(key, version, 0, gone[key])
