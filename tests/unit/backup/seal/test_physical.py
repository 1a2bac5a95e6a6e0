"""Physical backups, sealed and signed: made, verified, damaged, restored."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.restore import RestoreTarget, restore
from kitestring.backup.seal.sealer import place_of
from kitestring.backup.verify import verify
from kitestring.clients.store.local import LocalStore
from kitestring.errors import (
    BackupDamaged,
    BackupRefused,
    KitestringError,
    SealKeyMissing,
    WrongKey,
)
from kitestring.model.backup import BackupManifest
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

FLIPS = 40
SIGNING = "signing: {key: {file: keys/signing.key}, trusted: [keys/signing.pub]}"


@pytest.fixture
def spec(loaded: LoadedSpec, age_keys: Path, signing_keys: Path) -> Callable[..., LoadedSpec]:
    """The spec of the fake server, with lines in `backup`."""
    text = loaded.file.read_text()
    recipient = (age_keys / "age.pub").read_text().strip()

    def make(
        *, identity: bool = True, sealed: bool = True, signed: bool = True, more: str = ""
    ) -> LoadedSpec:
        lines = ["backup:", "  store: {type: local, path: backups}", *more.splitlines()]
        if signed:
            lines.append(f"  {SIGNING}")
        if sealed:
            opens = ", identity: {file: keys/age.key}" if identity else ""
            lines.append(f"  encryption: {{type: age, recipients: [{recipient}]{opens}}}")
        loaded.file.write_text(text[: text.index("backup:")] + "\n".join(lines) + "\n")
        return load(loaded.file)

    return make


def keys(manifest: BackupManifest) -> set[str]:
    return {o.key for c in manifest.collections for o in c.objects}


def files(loaded: LoadedSpec, manifest: BackupManifest) -> list[Path]:
    return [loaded.resolve("backups") / key for key in sorted(keys(manifest))]


def test_a_sealed_backup_is_incremental_verified_and_restored(
    server: Any, spec: Callable[..., LoadedSpec], tmp_path: Path
) -> None:
    sealed = spec()
    first = create_backup(sealed, server)
    server.upsert("docs", ["k001", "new"], version=1)
    second = create_backup(sealed, server)
    assert keys(first) < keys(second)
    assert second.reused_bytes == first.bytes
    assert all(place_of(key) for key in keys(second))
    for path in files(sealed, second):
        assert b"text of k0" not in path.read_bytes()
        assert path.read_bytes().startswith(b"age-encryption.org/v1\n")
    catalog = open_catalog(sealed)
    for made in (first, second):
        assert verify(catalog, made.id).passed
    other = type(server)(LocalStore(tmp_path / "milvus2"))
    restore(catalog, second, RestoreTarget(other, other.store))
    assert other.alive("docs") == server.alive("docs")


def test_turning_encryption_on_leaves_nothing_in_clear_and_off_reads_both(
    server: Any, spec: Callable[..., LoadedSpec]
) -> None:
    clear = create_backup(spec(sealed=False, signed=False), server)
    sealed = create_backup(spec(signed=False), server)
    assert not keys(clear) & keys(sealed)
    assert sealed.reused_bytes == 0
    catalog = open_catalog(spec(signed=False))
    assert verify(catalog, clear.id).passed
    assert verify(catalog, sealed.id).passed
    again = spec(sealed=False, signed=False)
    off = create_backup(again, server)
    assert keys(off) == keys(clear)
    assert verify(open_catalog(again), off.id).passed
    with pytest.raises(SealKeyMissing, match=r"sealed by age"):
        verify(open_catalog(again), sealed.id)


def test_a_host_without_identity_backs_up_and_another_proves_it(
    server: Any, spec: Callable[..., LoadedSpec], tmp_path: Path
) -> None:
    blind = spec(identity=False)
    said: list[str] = []
    made = create_backup(blind, server, on_event=said.append)
    assert any("opens what it seals" in line for line in said)
    summary = open_catalog(blind).summaries()[0]
    assert (summary.verified_at, summary.verified_tier) == (None, "")
    with pytest.raises(SealKeyMissing):
        verify(open_catalog(blind), made.id)
    other = type(server)(LocalStore(tmp_path / "milvus2"))
    with pytest.raises(SealKeyMissing):
        restore(open_catalog(blind), made, RestoreTarget(other, other.store))
    assert other.tables == {}
    server.upsert("docs", ["new"])
    more = create_backup(blind, server)
    assert more.reused_bytes > 0
    sees = open_catalog(spec())
    for backup in (made, more):
        assert verify(sees, backup.id).passed
    assert sees.summaries()[0].verified_tier == "full"


def test_a_store_that_does_not_keep_what_is_sealed_is_found_without_identity(
    server: Any, spec: Callable[..., LoadedSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    put = LocalStore.put

    def spoiling(self: LocalStore, key: str, data: Any) -> None:
        if key.startswith("pool/") and isinstance(data, bytes):
            data = data[:-1] + bytes([data[-1] ^ 1])
        put(self, key, data)

    monkeypatch.setattr(LocalStore, "put", spoiling)
    with pytest.raises(KitestringError, match="is not what was written"):
        create_backup(spec(identity=False), server)
    assert open_catalog(spec()).summaries() == []


def test_a_backup_that_could_not_be_signed_or_sealed_is_refused_before_it_begins(
    server: Any, spec: Callable[..., LoadedSpec], age_keys: Path, signing_keys: Path
) -> None:
    sealed = spec()
    (signing_keys / "signing.key").unlink()
    with pytest.raises(KitestringError, match=r"signing\.key"):
        create_backup(sealed, server)
    from kitestring.backup.seal.age import new_identity

    (age_keys / "age.key").write_text(new_identity()[0])
    with pytest.raises(WrongKey):
        create_backup(spec(signed=False), server)
    only_reads = spec().file.read_text().replace("key: {file: keys/signing.key}, ", "")
    sealed.file.write_text(only_reads)
    with pytest.raises(BackupRefused, match="names no private key"):
        create_backup(load(sealed.file), server)
    assert not (sealed.resolve("backups") / "pool").exists()


@pytest.mark.parametrize("sealed", [False, True])
def test_flips_in_every_kind_of_object_are_found(
    server: Any, spec: Callable[..., LoadedSpec], sealed: bool
) -> None:
    """Insert, delta and statistics logs; each object at least once."""
    loaded = spec(sealed=sealed)
    server.upsert("docs", ["k001"], version=1)
    made = create_backup(loaded, server)
    catalog = open_catalog(loaded)
    assert verify(catalog, made.id).passed
    draw = random.Random(7)  # noqa: S311 - no secret
    paths = files(loaded, made)
    found = 0
    injected = [*paths, *draw.choices(paths, k=max(0, FLIPS - len(paths)))]
    for path in injected:
        whole = path.read_bytes()
        changed = bytearray(whole)
        bit = draw.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(changed))
        key = str(path.relative_to(loaded.resolve("backups")))
        result = verify(catalog, made.id)
        found += any(key in problem for problem in result.problems)
        with pytest.raises(BackupDamaged):
            result.raise_if_damaged()
        path.write_bytes(whole)
    print(f"\nflips injected {len(injected)}, found {found}")
    assert found == len(injected)


def test_a_damaged_sealed_object_is_mended_by_the_next_backup(
    server: Any, spec: Callable[..., LoadedSpec]
) -> None:
    sealed = spec()
    made = create_backup(sealed, server)
    path = files(sealed, made)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert not verify(open_catalog(sealed), made.id).passed
    again = create_backup(sealed, server)
    for backup in (made, again):
        assert verify(open_catalog(sealed), backup.id).passed
