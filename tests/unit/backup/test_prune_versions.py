"""A bucket that keeps versions: what a prune leaves there is told, and deleted if so asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.backup.prune import PruneResult, prune
from kitestring.model.codec import to_plain
from kitestring.render.prune import prune_as_text
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from tests.unit.backup.catalogs import HOUR, make_backup

SPEC = """\
version: 1
cluster: {{name: unit}}
connection: {{uri: "http://127.0.0.1:19530"}}
state: state
storage: {{type: local, path: milvus}}
backup:
  store:
    type: s3
    bucket: {bucket}
    prefix: deep
    endpoint_url: {url}
    access_key: {{env: KS_USER}}
    secret_key: {{env: KS_SECRET}}
  retention: {{last: 1, grace: 1h, versions: {versions}}}
"""
Bucket = Callable[..., LoadedSpec]


@pytest.fixture
def bucket(
    moto: str,
    s3_client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unique: Callable[[str], str],
) -> Bucket:
    """Makes a bucket and a spec that puts its backups there."""
    monkeypatch.setenv("KS_USER", "user")
    monkeypatch.setenv("KS_SECRET", "a-secret")

    def make(versions: str, *, versioned: bool = True, locked: bool = False) -> LoadedSpec:
        name = unique("v").replace("_", "-").lower()[-30:].strip("-")
        s3_client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked)
        if versioned:
            s3_client.put_bucket_versioning(
                Bucket=name, VersioningConfiguration={"Status": "Enabled"}
            )
        if locked:
            rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
            s3_client.put_object_lock_configuration(
                Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
            )
        file = tmp_path / "c.yaml"
        file.write_text(SPEC.format(bucket=name, url=moto, versions=versions))
        return load(file)

    return make


def three_prunes(loaded: LoadedSpec) -> tuple[int, list[PruneResult]]:
    """Two backups, the older of which is marked, removed, and gone for an hour. When it began."""
    now = int(time.time() * 1000)
    make_backup(loaded, now - 9 * HOUR, {"all": 100, "own": 13})
    make_backup(loaded, now - 8 * HOUR, {"all": 100})
    return now, [prune(loaded, now=now + n * (HOUR + 60_000)) for n in (0, 2, 4)]


def left(s3_client: Any, loaded: LoadedSpec) -> dict[str, int]:
    """Versions and markers in the bucket, by the last part of their key."""
    store: Any = loaded.spec.backup.store if loaded.spec.backup else None
    found = s3_client.list_object_versions(Bucket=store.bucket, Prefix="deep/pool/")
    counted: dict[str, int] = {}
    for one in (*found.get("Versions", []), *found.get("DeleteMarkers", [])):
        name = one["Key"].rsplit("/", 1)[-1]
        counted[name] = counted.get(name, 0) + 1
    return counted


def test_versions_are_told_and_kept_unless_the_spec_says_otherwise(
    bucket: Bucket, s3_client: Any
) -> None:
    loaded = bucket("keep")
    _, (marked, removed, after) = three_prunes(loaded)
    assert (marked.versions.kept, removed.objects, removed.bytes) == (0, 1, 13)
    for result in (removed, after):
        assert result.clean
        assert result.versions.deleted == 0
        assert result.versions.kept_bytes > 13  # and the documents of the backup
        assert "still in the bucket" in prune_as_text(to_plain(result), None)
    assert left(s3_client, loaded) == {"all": 1, "own": 2}


def test_versions_go_when_they_were_deleted_for_the_grace_period(
    bucket: Bucket, s3_client: Any
) -> None:
    loaded = bucket("delete")
    now, (_, removed, after) = three_prunes(loaded)
    # the bucket's clock is not the test's: all was deleted now, whenever the prune thinks it is
    gone = removed.versions.deleted_bytes + after.versions.deleted_bytes
    assert gone > 13
    assert left(s3_client, loaded) == {"all": 1}
    assert after.versions.kept == 0
    (kept,) = open_catalog(loaded).summaries()
    assert kept.readable
    assert not prune(loaded, now=now + 9 * HOUR).changed


def test_a_dry_run_deletes_no_version(bucket: Bucket, s3_client: Any) -> None:
    loaded = bucket("delete")
    now = int(time.time() * 1000)
    make_backup(loaded, now - HOUR, {"all": 100, "own": 13})
    catalog = open_catalog(loaded)
    catalog.store.put("pool/unit/nobodys", b"bytes")
    catalog.store.delete("pool/unit/nobodys")
    early = prune(loaded, dry_run=True, now=now)
    assert (early.versions.kept, early.versions.kept_bytes, early.versions.deleted) == (2, 5, 0)
    late = prune(loaded, dry_run=True, now=now + 2 * HOUR)
    assert (late.versions.deleted, late.versions.deleted_bytes) == (2, 5)
    assert "would be freed" in prune_as_text(to_plain(late), None)
    assert left(s3_client, loaded) == {"all": 1, "own": 1, "nobodys": 2}


def test_an_object_that_a_backup_names_can_still_be_brought_back(
    bucket: Bucket, s3_client: Any
) -> None:
    loaded = bucket("delete")
    now = int(time.time() * 1000)
    make_backup(loaded, now - HOUR, {"all": 100, "own": 13})
    open_catalog(loaded).store.delete("pool/unit/own")  # by mistake, or by malice
    assert prune(loaded, now=now + 9 * HOUR).versions.deleted == 0
    assert left(s3_client, loaded) == {"all": 1, "own": 2}


def test_what_is_locked_stays_and_is_told_with_its_bytes(bucket: Bucket, s3_client: Any) -> None:
    loaded = bucket("delete", locked=True)
    _, (_, removed, after) = three_prunes(loaded)
    assert removed.objects == 1
    assert after.clean
    assert after.versions.locked > 0
    assert after.versions.kept_bytes >= 13
    assert "refused" in prune_as_text(to_plain(after), None)
    assert left(s3_client, loaded) == {"all": 1, "own": 2}
    assert [i.key for i in open_catalog(loaded).store.list("pool/")] == ["pool/unit/all"]


def test_a_bucket_that_keeps_none_has_none(bucket: Bucket) -> None:
    _, results = three_prunes(bucket("delete", versioned=False))
    assert [r.objects for r in results] == [0, 1, 0]
    assert not any(r.versions.kept or r.versions.deleted for r in results)
