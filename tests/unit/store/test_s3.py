"""What a bucket is asked for: parts, server-side copies, encryption, versions, object lock."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kitestring.clients.store import s3 as module
from kitestring.clients.store import s3_upload
from kitestring.clients.store.connect import check_store
from kitestring.clients.store.memory import MemoryStore
from kitestring.clients.store.protocol import sha256_of
from kitestring.clients.store.s3 import S3Store
from kitestring.clients.store.s3_errors import translated
from kitestring.errors import ObjectMissing, StoreError, StoreUnfit, StoreUnreachable
from kitestring.spec.load import load
from kitestring.spec.stores import S3Store as S3Spec
from kitestring.spec.types import SecretRef

KEYS = {"access_key": "user", "secret_key": "a-secret"}


@pytest.fixture
def bucket(s3_client: Any, unique: Callable[[str], str]) -> str:
    name = unique("b").replace("_", "-").lower()[-40:].strip("-")
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(moto: str, bucket: str) -> S3Store:
    return S3Store(bucket, prefix="p", endpoint_url=moto, **KEYS)


@pytest.fixture
def calls(store: S3Store) -> list[str]:
    """The names of the operations that the store asks for."""
    seen: list[str] = []
    store._client.meta.events.register("before-call.s3", lambda model, **_: seen.append(model.name))
    return seen


def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 takes no part under 5 MiB but the last."""
    monkeypatch.setattr(s3_upload, "PART", 5 << 20)
    monkeypatch.setattr(module, "PART", 5 << 20)


def test_a_stream_of_unknown_length_goes_in_parts(
    store: S3Store, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(monkeypatch)
    data = os.urandom(11 << 20)
    largest = 0

    class Trickle(BytesIO):
        def seekable(self) -> bool:
            return False

        def read(self, size: int | None = -1) -> bytes:
            nonlocal largest
            largest = max(largest, size or 0)
            return super().read(min(size or 0, 1 << 20))

    store.put("k", Trickle(data))
    assert calls.count("UploadPart") == 3
    assert sha256_of(store, "k") == (len(data), hashlib.sha256(data).hexdigest())
    assert largest <= 5 << 20


def test_an_upload_that_fails_leaves_no_parts(
    store: S3Store, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(monkeypatch)

    class Breaks(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 5 << 20:
                raise StoreError("the source broke off")
            return super().read(size)

    with pytest.raises(StoreError, match="broke off"):
        store.put("k", Breaks(b"x" * (6 << 20)))
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=store.bucket)
    assert store.head("k") is None


def test_parts_grow_so_that_ten_thousand_hold_500_gb() -> None:
    sizes = [s3_upload.part_size(number) for number in range(1, 10_001)]
    assert sizes[0] == 8 << 20
    assert max(sizes) == 64 << 20  # one is in memory at a time
    assert sum(sizes) > 500e9


def test_a_copy_on_the_server_downloads_nothing(store: S3Store, calls: list[str]) -> None:
    data = os.urandom(100_000)
    store.put("from", data)
    calls.clear()
    assert store.copy_from(store, "from", "to") == (100_000, hashlib.sha256(data).hexdigest())
    assert calls == ["CopyObject", "HeadObject"]
    assert store.get("to") == data


def test_a_server_without_checksums_is_asked_for_the_copy(
    store: S3Store, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("from", b"data")
    monkeypatch.setattr(module, "_whole_sha256", lambda found: "")
    calls.clear()
    assert store.copy_from(store, "from", "to") == (4, hashlib.sha256(b"data").hexdigest())
    assert calls == ["CopyObject", "HeadObject", "GetObject"]


@pytest.mark.parametrize(
    ("answer", "hexadecimal"),
    [
        ({"ChecksumSHA256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="}, "ba7816bf"),
        ({"ChecksumSHA256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=-2"}, ""),
        (
            {
                "ChecksumSHA256": "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
                "ChecksumType": "COMPOSITE",
            },
            "",
        ),
        ({"ChecksumSHA256": "short"}, ""),
        ({"ChecksumCRC32": "AAAAAA=="}, ""),
    ],
)
def test_only_the_checksum_of_a_whole_object_counts(
    answer: dict[str, str], hexadecimal: str
) -> None:
    assert module._whole_sha256(answer)[:8] == hexadecimal


def test_an_object_too_large_for_one_copy_is_copied_in_parts(
    store: S3Store, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.exceptions import ClientError

    data = os.urandom(12 << 20)
    store.put("from", data)
    monkeypatch.setattr(module, "_COPY_LIMIT", 5 << 20)
    monkeypatch.setattr(s3_upload, "COPY_PART", 5 << 20)

    def too_large(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "InvalidRequest", "Message": "m"}}, "CopyObject")  # type: ignore[arg-type]

    monkeypatch.setattr(store._client, "copy_object", too_large)
    calls.clear()
    assert store.copy_from(store, "from", "to") == (len(data), hashlib.sha256(data).hexdigest())
    assert calls.count("UploadPartCopy") == 3
    assert store.get("to") == data


def test_a_copy_of_nothing_names_the_source(store: S3Store) -> None:
    with pytest.raises(ObjectMissing, match="/p/nothing"):
        store.copy_from(store, "nothing", "to")


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"encryption": "AES256"}, ("AES256", None)),
        ({"encryption": "aws:kms", "kms_key_id": "k1"}, ("aws:kms", "k1")),
    ],
)
def test_every_write_asks_for_encryption(
    moto: str,
    bucket: str,
    s3_client: Any,
    options: dict[str, str],
    wanted: tuple[str, str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_parts(monkeypatch)
    store = S3Store(bucket, endpoint_url=moto, **KEYS, **options)
    asked: list[tuple[Any, Any]] = []
    store._client.meta.events.register(
        "before-parameter-build.s3",
        lambda params, model, **_: (
            model.name in ("PutObject", "CopyObject", "CreateMultipartUpload")
            and asked.append((params.get("ServerSideEncryption"), params.get("SSEKMSKeyId")))
        ),
    )
    store.put("bytes", b"x")
    store.put("stream", BytesIO(b"x" * (6 << 20)))
    store.put_new("new", b"x")
    store.copy_from(store, "bytes", "copy")
    other = MemoryStore()
    other.put("o", b"y")
    store.copy_from(other, "o", "through")
    assert asked == [wanted] * 5
    assert s3_client.head_object(Bucket=bucket, Key="copy")["ServerSideEncryption"] == wanted[0]


def test_uploads_of_yesterday_are_swept(
    store: S3Store, s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("p/left", "other/left"):
        s3_client.create_multipart_upload(Bucket=store.bucket, Key=key)
    begun = next(iter(store._uploads()))["Initiated"].timestamp()
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: begun + 23 * 3600))
    assert store.sweep(600.0) == 0  # it may be one that goes slowly
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: begun + 25 * 3600))
    assert store.sweep(600.0) == 1
    left = s3_client.list_multipart_uploads(Bucket=store.bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["other/left"]


SPEC = """\
version: 1
cluster: {{name: c}}
connection: {{uri: "http://h:1"}}
state: state
storage: {{type: s3, bucket: {bucket}, endpoint_url: "{url}"}}
"""


@pytest.mark.parametrize("made_with", ["nothing", "versions", "lock"])
def test_a_bucket_has_to_be_what_the_spec_says(
    moto: str,
    s3_client: Any,
    tmp_path: Path,
    made_with: str,
    monkeypatch: pytest.MonkeyPatch,
    unique: Callable[[str], str],
) -> None:
    monkeypatch.setenv("KS_USER", "user")
    monkeypatch.setenv("KS_SECRET", "a-secret")
    bucket = unique("c").replace("_", "-").lower()[-30:].strip("-")
    s3_client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=made_with == "lock")
    if made_with == "versions":
        s3_client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    file = tmp_path / "c.yaml"
    file.write_text(SPEC.format(bucket=bucket, url=moto))
    loaded = load(file)

    def says(versioning: bool, lock: bool) -> str:
        spec = S3Spec(
            type="s3",
            bucket=bucket,
            endpoint_url=moto,
            access_key=SecretRef(env="KS_USER"),
            secret_key=SecretRef(env="KS_SECRET"),
            versioning=versioning,
            object_lock=lock,
        )
        try:
            check_store(loaded, spec)
        except StoreUnfit as error:
            return error.message
        return ""

    assert says(False, False) == ""
    assert ("versioning, but" in says(True, False)) == (made_with == "nothing")
    assert ("object lock" in says(True, True)) == (made_with != "lock")


def test_the_retention_of_object_lock_is_told(moto: str, s3_client: Any) -> None:
    s3_client.create_bucket(Bucket="kept", ObjectLockEnabledForBucket=True)
    store = S3Store("kept", endpoint_url=moto, **KEYS)
    assert store.object_lock() == ""
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
    s3_client.put_object_lock_configuration(
        Bucket="kept", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert store.object_lock() == "compliance, 30 days"


def test_a_bucket_that_is_away_fails_the_check(moto: str) -> None:
    with pytest.raises(StoreUnreachable, match="no bucket `nowhere`"):
        S3Store("nowhere", endpoint_url=moto, **KEYS).check()


@pytest.mark.parametrize(
    ("code", "more", "words", "transient"),
    [
        ("PermanentRedirect", {"x-amz-bucket-region": "eu-west-1"}, "region: eu-west-1", False),
        ("AuthorizationHeaderMalformed", {}, "another region", False),
        ("RequestTimeTooSkewed", {}, "clock", False),
        ("kms:KeyNotFound", {}, "can't encrypt", False),
        ("KMS.DisabledException", {}, "can't encrypt", False),
        ("SlowDown", {}, "SlowDown", True),
        ("InternalError", {}, "InternalError", True),
        ("MalformedXML", {}, "MalformedXML", False),
    ],
)
def test_answers_in_words(code: str, more: dict[str, str], words: str, transient: bool) -> None:
    from botocore.exceptions import ClientError

    answer: Any = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPHeaders": more, "HTTPStatusCode": 400},
    }
    error = translated(ClientError(answer, "PutObject"), bucket="b", endpoint=None, key="k")
    assert words in error.message
    assert error.transient is transient


def test_the_markers_of_folders_that_consoles_make_are_no_objects(
    store: S3Store, s3_client: Any, bucket: str
) -> None:
    for marker in ("p/", "p/backups/", "p/pool/unit/"):
        s3_client.put_object(Bucket=bucket, Key=marker, Body=b"")
    store.put("backups/a", b"1")
    assert [found.key for found in store.list("")] == ["backups/a"]
    assert list(store.list("pool/")) == []
