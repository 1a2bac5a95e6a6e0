"""Verification finds every change of a backup, in the tier that can see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.summaries import unverified
from kitestring.backup.verify import verify
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import BackupDamaged, ManifestUnreadable, StoreUnreachable, UsageError
from kitestring.model.backup import BackupManifest
from kitestring.spec.loaded import LoadedSpec
from tests.verbs import kitestring


@pytest.fixture
def manifest(server: Any, loaded: LoadedSpec) -> BackupManifest:
    server.upsert("docs", ["k001"], version=1)
    return create_backup(loaded, server)


@pytest.fixture
def copied(manifest: BackupManifest, loaded: LoadedSpec) -> MemoryStore:
    """The store of the backup, in memory."""
    store = MemoryStore()
    disk = open_catalog(loaded).store
    for info in disk.list(""):
        store.put(info.key, disk.get(info.key))
    return store


@pytest.mark.parametrize(("tier", "hashed"), [("list", 0), ("sample", 2), ("full", 19)])
def test_a_whole_backup_passes_each_tier(
    loaded: LoadedSpec, manifest: BackupManifest, tier: str, hashed: int
) -> None:
    catalog = open_catalog(loaded)
    result = verify(catalog, manifest.id, tier=tier)
    assert (result.passed, result.objects, result.hashed) == (True, 19, hashed)
    assert catalog.summaries()[0].verified_tier == tier


@settings(max_examples=60)
@given(data=st.data())
def test_one_flipped_bit_anywhere_is_always_found(
    copied: MemoryStore, manifest: BackupManifest, data: st.DataObject
) -> None:
    objects = [o for c in manifest.collections for s in c.segments for o in s.objects]
    chosen = data.draw(st.sampled_from(objects))
    bit = data.draw(st.integers(0, chosen.size * 8 - 1))
    before = copied.objects[chosen.key]
    changed = bytearray(before)
    changed[bit // 8] ^= 1 << bit % 8
    copied.objects[chosen.key] = bytes(changed)
    try:
        result = verify(Catalog(copied), manifest.id)
        assert [p for p in result.problems if chosen.key in p]
        with pytest.raises(BackupDamaged, match="is damaged"):
            result.raise_if_damaged()
    finally:
        copied.objects[chosen.key] = before


@pytest.mark.parametrize("tier", ["list", "sample", "full"])
@pytest.mark.parametrize("how", ["missing", "cut short"])
def test_what_a_listing_shows_is_found_in_each_tier(
    copied: MemoryStore, manifest: BackupManifest, tier: str, how: str
) -> None:
    key = manifest.collections[0].segments[0].insert[0].key
    if how == "missing":
        copied.delete(key)
    else:
        copied.objects[key] = copied.objects[key][:-1]
    catalog = Catalog(copied)
    before = catalog.summaries()[0]
    assert not verify(catalog, manifest.id, tier=tier).passed
    after = catalog.summaries()[0]
    assert before.verified_tier == "full"
    assert after == unverified(before)


def test_rows_that_are_not_the_manifest_s_are_found(
    copied: MemoryStore, manifest: BackupManifest
) -> None:
    key = f"backups/{manifest.id}/manifest.json"
    plain = json.loads(copied.objects[key])
    plain["collections"][0]["segments"][0]["delta"] = []  # a delta log is forgotten
    copied.objects[key] = json.dumps(plain).encode()
    copied.delete(f"backups/{manifest.id}/summary.json")
    catalog = Catalog(copied)
    catalog.sweep_partials()
    result = verify(catalog, manifest.id)
    assert any("not those of its manifest" in p for p in result.problems)


def test_the_sample_is_another_one_each_time(copied: MemoryStore, manifest: BackupManifest) -> None:
    read: set[str] = set()

    def note(operation: str, key: str) -> None:
        if operation == "get" and key.startswith("pool/"):
            read.add(key)

    copied.before = note
    for seed in range(20):
        verify(Catalog(copied), manifest.id, tier="sample", seed=seed)
    assert len(read) > 10


def test_a_store_that_is_gone_says_nothing_of_the_backup(
    copied: MemoryStore, manifest: BackupManifest
) -> None:
    def gone(operation: str, key: str) -> None:
        if operation == "get" and key.startswith("pool/"):
            raise StoreUnreachable("the store is away")

    copied.before = gone
    with pytest.raises(StoreUnreachable):
        verify(Catalog(copied), manifest.id)


def test_a_tier_that_is_none_is_refused(loaded: LoadedSpec, manifest: BackupManifest) -> None:
    with pytest.raises(UsageError, match="list, sample, full"):
        verify(open_catalog(loaded), manifest.id, tier="half")


@pytest.mark.parametrize("how", ["cut short", "removed"])
def test_a_backup_outlives_its_summary(
    server: Any, loaded: LoadedSpec, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what holds the rows against the manifest can vouch for it then."""
    older, made = create_backup(loaded, server), create_backup(loaded, server)
    made = max(older, made, key=lambda m: m.id)
    path = loaded.resolve("backups") / "backups" / made.id / "summary.json"
    manifest = path.with_name("manifest.json")
    whole = manifest.read_text()
    path.write_text(path.read_text()[:99])
    if how == "removed":
        path.unlink()

    def verified(tier: str) -> int:
        return kitestring("backup", "verify", "latest", "--tier", tier, "--spec", loaded.file)

    assert verified("list") == verified("sample") == 2
    assert "--tier full" in capsys.readouterr().err
    manifest.write_text(whole.replace('"rows": 40', '"rows": 41'))
    assert verified("full") == verified("full") == 2
    manifest.write_text(whole)
    with pytest.raises(ManifestUnreadable) as error:
        open_catalog(loaded).manifest(made.id)
    assert f"kitestring backup verify {made.id}" in error.value.hint
    assert verified("full") == 2  # it says what was wrong, once
    assert verified("full") == 0
    assert open_catalog(loaded).manifest(made.id) == made
