"""Multipart uploads and copies: what does not fit into one request of S3."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PART = 8 * 1024 * 1024  # bytes of the first parts of a stream
_GROWN = 64 * 1024 * 1024  # bytes that a part grows to: one is in memory at a time
_SAME_SIZE = 1000  # parts before their size doubles: 10,000 parts make 500 GB
COPY_PART = 512 * 1024 * 1024
_COPY_THREADS = 4
Place = dict[str, Any]  # Bucket and Key


def part_size(number: int) -> int:
    """Bytes of the part of that number, from 1: a stream's length is not known beforehand, and S3
    takes at most 10,000 parts."""
    return int(min(PART << ((number - 1) // _SAME_SIZE), _GROWN))


def parts_of(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """A stream in parts, at least one; the last may be shorter, or empty. Nothing else keeps a
    part in memory."""
    number = 1
    while True:
        size = part_size(number)
        part = _read_part(read, size)
        short = len(part) < size
        yield part
        del part
        if short:
            return
        number += 1


def _read_part(read: Callable[[int], bytes], size: int) -> bytes:
    """`size` bytes of a stream, fewer only at its end."""
    data = read(size)
    if not data or len(data) == size:
        return data
    found = bytearray(data)
    while len(found) < size and (data := read(size - len(found))):
        found += data
    return bytes(found)


def upload_parts(
    client: S3Client, place: Place, parts: Iterator[bytes], options: Mapping[str, Any]
) -> None:
    """Uploads the parts of a stream (see `parts_of`), of which the first is a whole one. What
    fails is aborted, so that nothing of it is stored."""

    def send(upload: str) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        for number, data in enumerate(filter(None, parts), start=1):
            done: Any = client.upload_part(**place, UploadId=upload, PartNumber=number, Body=data)
            sent.append(_part(number, done))
            del data  # or it would stay while the next one is read
        return sent

    _multipart(client, place, options, send)


def copy_parts(
    client: S3Client, source: Place, place: Place, size: int, etag: str, options: Mapping[str, Any]
) -> None:
    """Copies an object of more than 5 GiB on the server, several parts at a time.

    Args:
        size, etag: the source's: an object that is replaced in the meantime is not mixed.
    """
    at_source: Any = source
    spans = [(n + 1, at) for n, at in enumerate(range(0, size, COPY_PART))]

    def send(upload: str) -> list[dict[str, Any]]:
        def copy(span: tuple[int, int]) -> dict[str, Any]:
            number, start = span
            end = min(start + COPY_PART, size) - 1
            done: Any = client.upload_part_copy(
                **place,
                UploadId=upload,
                PartNumber=number,
                CopySource=at_source,
                CopySourceIfMatch=etag,
                CopySourceRange=f"bytes={start}-{end}",
            )
            return _part(number, done["CopyPartResult"])

        with ThreadPoolExecutor(_COPY_THREADS, "copy-part") as executor:
            try:
                return list(executor.map(copy, spans))
            except BaseException:
                executor.shutdown(wait=True, cancel_futures=True)
                raise

    _multipart(client, place, options, send)


def _part(number: int, done: Mapping[str, Any]) -> dict[str, Any]:
    sums = {key: value for key, value in done.items() if key.startswith("Checksum")}
    return {"PartNumber": number, "ETag": done["ETag"], **sums}


def _multipart(
    client: S3Client,
    place: Place,
    options: Mapping[str, Any],
    send: Callable[[str], list[dict[str, Any]]],
) -> None:
    upload: str = client.create_multipart_upload(**place, **options)["UploadId"]
    try:
        parts: Any = {"Parts": send(upload)}
        client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    except BaseException:
        with contextlib.suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(**place, UploadId=upload)
        raise
