"""Where a spec says `signing`, the catalog believes nothing that no trusted key has signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.backup.catalog import Catalog, open_catalog
from kitestring.backup.seal.keys import new_pair
from kitestring.backup.seal.sealer import AgeSealer
from kitestring.backup.seal.sign import Signer, Verifier
from kitestring.backup.seal.store import SealedStore
from kitestring.backup.verify import verify
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import (
    BackupRefused,
    ManifestUnreadable,
    SealKeyMissing,
    WrongKey,
)
from kitestring.model.backup import BackupManifest
from kitestring.spec.loaded import LoadedSpec

Make = Callable[..., BackupManifest]
OTHER = "20250201T013000Z-ffffff"


@pytest.fixture
def sealer() -> None:
    """Not sealed here."""
    return


@pytest.fixture
def made(catalog: Catalog, make: Make) -> BackupManifest:
    return make(catalog)


def names(raw: MemoryStore, made: BackupManifest) -> dict[str, str]:
    below = f"backups/{made.id}/"
    return {k.removeprefix(below): k for k in raw.objects if k.startswith(below)}


def test_a_signed_backup_is_read_and_says_who_has_signed(
    catalog: Catalog, made: BackupManifest, signer: Signer
) -> None:
    assert catalog.manifest(made.id) == made
    (summary,) = catalog.summaries()
    assert (summary.readable, summary.signed) == (True, signer.key_id)
    assert catalog.resolve("latest") == made.id


def test_without_signing_in_the_spec_a_signed_backup_is_read(
    raw: MemoryStore, made: BackupManifest, signer: Signer
) -> None:
    plain = Catalog(raw)
    assert plain.manifest(made.id) == made
    assert plain.summaries()[0].signed == signer.key_id


@pytest.mark.parametrize("how", ["unsigned", "stranger", "changed", "replayed"])
def test_a_manifest_that_is_not_signed_as_this_is_refused(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest, make: Make, tmp_path: Path, how: str
) -> None:
    key = names(raw, made)
    if how == "unsigned":
        raw.delete(key["manifest.sig"])
    elif how == "stranger":
        from kitestring.backup.seal.sign import parse_private

        new_pair(tmp_path / "other", "signing")
        data = (tmp_path / "other/signing.key").read_bytes()
        stranger = Signer(lambda: parse_private(data, "signing.key"))
        signature = stranger.sign_document(raw.objects[key["manifest.json"]], f"manifest {made.id}")
        raw.put(key["manifest.sig"], signature)
    elif how == "changed":
        text = raw.objects[key["manifest.json"]]
        raw.put(key["manifest.json"], text.replace(b'"rows": 300', b'"rows": 200'))
    else:  # an older backup, signed as it should be, under the id of a newer one
        older = make(catalog, id_=OTHER, first=1000)
        for name, of_other in names(raw, older).items():
            data = raw.objects[of_other].replace(older.id.encode(), made.id.encode())
            raw.put(key[name], data if name == "manifest.json" else raw.objects[of_other])
    with pytest.raises(ManifestUnreadable, match="not to be believed"):
        catalog.manifest(made.id)
    with pytest.raises(ManifestUnreadable):
        verify(catalog, made.id)


def test_a_summary_that_claims_a_verification_is_not_believed(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest
) -> None:
    key = names(raw, made)["summary.json"]
    plain = json.loads(raw.objects[key])
    plain["verified_at"], plain["verified_tier"] = plain["verified_at"] + 10**9, "full"
    raw.put(key, json.dumps(plain).encode())
    (summary,) = catalog.summaries()
    assert not summary.readable
    assert "not to be believed" in summary.problem
    # the manifest is as signed as before: what is in the backup can be restored
    assert catalog.manifest(made.id) == made


def test_a_signed_claim_of_another_backup_is_not_believed(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest, make: Make
) -> None:
    other = make(catalog, id_=OTHER)
    plain = json.loads(raw.objects[names(raw, other)["summary.json"]])
    plain["id"] = made.id
    raw.put(names(raw, made)["summary.json"], json.dumps(plain).encode())
    assert [s.readable for s in catalog.summaries()] == [True, False]


def test_a_mark_of_the_retention_needs_no_key(
    raw: MemoryStore, verifier: Verifier, catalog: Catalog, made: BackupManifest
) -> None:
    reads_only = Catalog(raw, verifier=verifier)
    reads_only.mark(made.id, 1_800_000_000_000)
    (summary,) = catalog.summaries()
    assert (summary.readable, summary.marked_at) == (True, 1_800_000_000_000)


def test_a_verification_is_noted_only_by_who_can_sign(
    raw: MemoryStore, verifier: Verifier, catalog: Catalog, made: BackupManifest
) -> None:
    said: list[str] = []
    before = catalog.summaries()[0]
    result = verify(Catalog(raw, verifier=verifier), made.id, tier="sample", on_event=said.append)
    assert result.passed
    assert any("not noted" in line for line in said)
    assert catalog.summaries()[0] == before
    assert verify(catalog, made.id, tier="sample").passed
    assert catalog.summaries()[0].verified_tier == "sample"


def test_what_was_proven_before_is_signed_too(
    catalog: Catalog, raw: MemoryStore, made: BackupManifest
) -> None:
    catalog.mark_verified(made.id, "full")
    catalog.mark_verified(made.id, "list")
    (found,) = catalog.summaries()
    assert (found.readable, found.proven_tier) == (True, "full")
    key = f"backups/{made.id}/summary.json"
    for forged in ({"best_tier": "", "best_at": None}, {"best_at": 1}):
        raw.objects[key] = json.dumps({**json.loads(raw.objects[key]), **forged}).encode()
        assert not catalog.summaries()[0].readable


def test_a_wrong_summary_is_reported_once_and_written_again(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest
) -> None:
    raw.put(names(raw, made)["summary.json"], b"{}")
    result = verify(catalog, made.id)
    assert not result.passed
    assert all("summary.json" in problem for problem in result.problems)
    assert verify(catalog, made.id).passed
    assert catalog.summaries()[0].readable


def test_a_signature_is_there_before_the_manifest(
    raw: MemoryStore, catalog: Catalog, make: Make
) -> None:
    written: list[str] = []
    raw.before = lambda operation, key: written.append(key) if operation == "put" else None
    made = make(catalog)
    own = [k.rpartition("/")[2] for k in written if made.id in k and k.startswith("backups/")]
    assert own == ["manifest.sig", "manifest.json", "summary.json"]


def test_a_swept_summary_is_signed(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest
) -> None:
    raw.delete(names(raw, made)["summary.json"])
    assert catalog.sweep_partials() == [f"completed {made.id}"]
    assert catalog.summaries()[0].readable


def test_a_manifest_nobody_has_signed_gets_no_summary(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest
) -> None:
    for name in ("summary.json", "manifest.sig"):
        raw.delete(names(raw, made)[name])
    assert catalog.sweep_partials() == []
    assert not catalog.summaries()[0].readable


# --- before anything is done


def test_a_host_that_can_not_sign_makes_no_backup(
    spec_with: Callable[[str], LoadedSpec], signing_keys: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackupRefused, match="names no private key"):
        open_catalog(spec_with("signing: {trusted: [keys/signing.pub]}")).prepare("unit")
    new_pair(tmp_path / "other", "signing")
    spec = "signing: {key: {file: other/signing.key}, trusted: [keys/signing.pub]}"
    with pytest.raises(BackupRefused, match="is not among"):
        open_catalog(spec_with(spec)).prepare("unit")
    spec = "signing: {key: {file: keys/signing.key}, trusted: [keys/signing.pub]}"
    open_catalog(spec_with(spec)).prepare("unit")


def test_a_host_that_can_not_open_says_so_when_it_is_to_read(
    raw: MemoryStore, age_keys: Path, make: Make
) -> None:
    recipient = (age_keys / "age.pub").read_text().strip()
    blind = Catalog(SealedStore(raw, AgeSealer([recipient], None)))
    assert not blind.can_read
    made = make(blind)
    summary = blind.summaries()[0]
    assert (summary.verified_at, summary.verified_tier, summary.sealed) == (None, "", "age")
    assert verify(blind, made.id, tier="list").passed
    for tier in ("sample", "full"):
        with pytest.raises(SealKeyMissing, match="no key that opens it"):
            verify(blind, made.id, tier=tier)
    for store in (raw, SealedStore(raw, None)):
        with pytest.raises(SealKeyMissing, match="names no key") as error:
            Catalog(store).check_openable(made)
        assert "backup.encryption" in error.value.hint


def test_a_wrong_identity_verifies_nothing(
    raw: MemoryStore, age_sealer: AgeSealer, make: Make
) -> None:
    from kitestring.backup.seal.age import new_identity, parse_identities

    made = make(Catalog(SealedStore(raw, age_sealer)))
    identity, recipient = new_identity()
    wrong = AgeSealer([recipient], lambda: parse_identities(identity, "test"))
    with pytest.raises(WrongKey):
        verify(Catalog(SealedStore(raw, wrong)), made.id)


def test_encryption_that_is_turned_on_or_off_reuses_nothing(
    raw: MemoryStore, age_sealer: AgeSealer
) -> None:
    clear, sealed = Catalog(SealedStore(raw, None)), Catalog(SealedStore(raw, age_sealer))
    clear.store.put(f"pool/{clear.pool_name('unit')}/insert_log/1", b"one")
    sealed.store.put(f"pool/{sealed.pool_name('unit')}/insert_log/1", b"one")
    assert [i.key for i in clear.pooled("unit")] == ["pool/unit/insert_log/1"]
    (found,) = sealed.pooled("unit")
    assert found.key != "pool/unit/insert_log/1"
    assert found.size == 3


def test_an_older_summary_is_no_problem(catalog: Catalog, made: BackupManifest) -> None:
    assert catalog.summary_problem(made) == ""
    summary = catalog.summaries()[0]
    older = replace(summary, reused_bytes=0, sealed="")
    catalog._documents.put_summary(older)
    assert catalog.summary_problem(made) == ""
