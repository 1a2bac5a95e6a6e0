"""Whatever is done to a backup's objects, manifest, signature or summary, verifying finds it.

Faults are drawn at random; what was injected and what was found is printed (`pytest -s`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

import pytest

from kitestring.backup.catalog import Catalog
from kitestring.backup.seal.sealer import Sealer
from kitestring.backup.seal.sign import Signer, Verifier
from kitestring.backup.seal.store import SealedStore
from kitestring.backup.verify import verify
from kitestring.clients.store.memory import MemoryStore
from kitestring.errors import KitestringError, ManifestUnreadable
from kitestring.model.backup import BackupManifest

FLIPS, OTHERS = 60, 6
Make = Callable[..., BackupManifest]
Fault = tuple[str, str, bytes | None]  # kind, key, what stands there afterwards


@pytest.fixture
def made(catalog: Catalog, make: Make) -> BackupManifest:
    return make(catalog)


def drawn() -> random.Random:
    return random.Random(20250131)  # noqa: S311 - no secret


def found(catalog: Catalog, made: BackupManifest, key: str) -> bool:
    """Whether a full verification notices, and names the object if it is one of the pool."""
    try:
        problems = verify(catalog, made.id).problems
    except ManifestUnreadable:
        return key.startswith("backups/")
    except KitestringError:
        return True
    return any(key in problem for problem in problems)


def faults(
    raw: MemoryStore, made: BackupManifest, older: dict[str, bytes], draw: random.Random
) -> Iterator[Fault]:
    objects = [o.key for c in made.collections for o in c.objects]
    beside = [k for k in raw.objects if k.startswith(f"backups/{made.id}/")]
    kinds = {"object": objects}
    for key in beside:
        kinds[key.rpartition("/")[2]] = [key]
    for kind, keys in kinds.items():
        for _ in range(FLIPS):
            key = draw.choice(keys)
            data = bytearray(raw.objects[key])
            bit = draw.randrange(len(data) * 8)
            data[bit // 8] ^= 1 << bit % 8
            yield f"flip in {kind}", key, bytes(data)
        for _ in range(OTHERS):
            key = draw.choice(keys)
            whole = raw.objects[key]
            yield f"{kind} cut short", key, whole[: draw.randrange(len(whole))]
            yield f"{kind} lengthened", key, whole + draw.randbytes(draw.randint(1, 40))
            yield f"{kind} emptied", key, b""
        yield f"{kind} missing", draw.choice(keys), None
    for _ in range(OTHERS):
        one, other = draw.sample(objects, 2)
        yield "object swapped", one, raw.objects[other]
        key = draw.choice(objects)
        yield "object replayed", key, older[key]


@pytest.fixture
def older(raw: MemoryStore, catalog: Catalog, make: Make, made: BackupManifest) -> dict[str, bytes]:
    """Other contents of the same length, sealed as is right, under the keys of the backup."""
    before = dict(raw.objects)
    for stored in made.collections[0].objects:
        content = bytearray(catalog.store.get(stored.key))
        content[len(content) // 2] ^= 1
        catalog.store.put(stored.key, bytes(content))
    changed = {o.key: raw.objects[o.key] for o in made.collections[0].objects}
    raw.objects.clear()
    raw.objects.update(before)
    return changed


def test_every_fault_is_found(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest, older: dict[str, bytes]
) -> None:
    assert verify(catalog, made.id).passed
    whole = dict(raw.objects)
    injected: dict[str, int] = {}
    missed: list[str] = []
    for kind, key, content in list(faults(raw, made, older, drawn())):
        assert content != whole[key]
        raw.objects.pop(key) if content is None else raw.put(key, content)
        injected[kind] = injected.get(kind, 0) + 1
        if not found(catalog, made, key):
            missed.append(f"{kind}: {key}")
        raw.objects.clear()
        raw.objects.update(whole)
    assert verify(catalog, made.id).passed
    print(f"\nfaults injected {sum(injected.values())}, missed {len(missed)}: {injected}")
    assert missed == []


def test_without_signatures_only_a_claim_of_a_verification_can_be_forged(
    raw: MemoryStore, make: Make
) -> None:
    """Flips in the summary of a backup that nobody has signed."""
    catalog = Catalog(raw)
    made = make(catalog)
    key = f"backups/{made.id}/summary.json"
    whole, draw = dict(raw.objects), drawn()
    injected = forged = 0
    for _ in range(400):
        data = bytearray(whole[key])
        bit = draw.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        raw.put(key, bytes(data))
        injected += 1
        if not found(catalog, made, key):
            told, true = json.loads(data), json.loads(whole[key])
            assert {n for n in true if told[n] != true[n]} <= {"verified_at", "verified_tier"}
            forged += 1
        raw.objects.clear()
        raw.objects.update(whole)
    print(f"\nflips injected {injected}, in what only a signature protects {forged}")
    assert forged < injected / 10


def test_a_manifest_that_was_changed_with_its_summary_needs_a_signature(
    raw: MemoryStore, make: Make, signer: Signer, verifier: Verifier
) -> None:
    """Who can write to the store can change both; the rows' digest and the signature tell."""
    made = make(Catalog(raw, signer=signer))
    key = f"backups/{made.id}/manifest.json"
    plain = json.loads(raw.objects[key])
    plain["collections"][0]["aliases"] = ["somebody_s"]
    raw.put(key, json.dumps(plain).encode())
    raw.delete(f"backups/{made.id}/summary.json")
    Catalog(raw).sweep_partials()
    assert verify(Catalog(raw), made.id).passed  # nothing says otherwise without `signing`
    with pytest.raises(ManifestUnreadable, match="not to be believed"):
        verify(Catalog(raw, verifier=verifier), made.id)


@pytest.mark.parametrize("tier", ["list", "sample", "full"])
def test_a_damaged_object_is_noted_for_the_next_backup(
    raw: MemoryStore, catalog: Catalog, made: BackupManifest, tier: str, sealer: Sealer | None
) -> None:
    from kitestring.backup.earlier import read_damaged

    key = made.collections[0].objects[0].key
    raw.delete(key)
    result = verify(catalog, made.id, tier=tier)
    assert result.damaged == (key,)
    assert f"{key} (of `docs`) is missing" in result.problems
    assert read_damaged(SealedStore(raw, sealer)) == {key}
