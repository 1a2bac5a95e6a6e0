"""What goes into the pool is sealed, and comes out as it was, wherever it is copied to."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import pytest

from kitestring.backup.seal.sealer import AgeSealer, KmsSealer, Sealer, place_of
from kitestring.backup.seal.store import NO_SIZE, SealedStore
from kitestring.clients.kms import Kms
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.memory import MemoryStore
from kitestring.clients.store.protocol import ObjectStore, sha256_of
from kitestring.errors import (
    KeyServiceFailed,
    ObjectMissing,
    SealBroken,
    SealError,
    SealKeyMissing,
    WrongKey,
)

DATA = os.urandom(200_000)
SECRET = b"a text that nobody else may read"


@pytest.fixture(params=["age", "kms"])
def sealer(request: pytest.FixtureRequest) -> Sealer:
    found: Sealer = request.getfixturevalue(f"{request.param}_sealer")
    return found


@pytest.fixture
def store(raw: MemoryStore, sealer: Sealer) -> SealedStore:
    return SealedStore(raw, sealer)


def key_of(store: SealedStore, name: str = "insert_log/1/2/3/100/4") -> str:
    return f"pool/{store.pool_name('unit')}/{name}"


@pytest.mark.parametrize("size", [0, 1, 65_536, 200_000, 9_000_000])
def test_what_is_put_is_sealed_and_comes_back(
    raw: MemoryStore, store: SealedStore, size: int
) -> None:
    data = (SECRET * (size // len(SECRET) + 1))[:size]
    for name, given in (("a", data), ("b", BytesIO(data))):
        key = key_of(store, name)
        store.put(key, given)
        assert store.get(key) == data
        assert sha256_of(store, key) == (size, hashlib.sha256(data).hexdigest())
        assert SECRET not in raw.objects[key]
        head = store.head(key)
        assert head is not None
        assert head.size == size
    assert [i.size for i in store.list("pool/")] == [size, size]


def test_manifests_and_clear_objects_go_through(raw: MemoryStore, store: SealedStore) -> None:
    store.put("backups/x/manifest.json", b"{}")
    assert raw.objects["backups/x/manifest.json"] == b"{}"
    raw.put("pool/unit/insert_log/1/2/3/100/4", b"of before")
    assert store.get("pool/unit/insert_log/1/2/3/100/4") == b"of before"
    assert [i.size for i in store.list("pool/unit/insert_log")] == [9]
    assert store.put_new("locks/a", b"1")
    assert not store.put_new("locks/a", b"2")


def test_nothing_gets_into_the_pool_in_clear(raw: MemoryStore, store: SealedStore) -> None:
    for write in (
        lambda k: store.put(k, SECRET),
        lambda k: store.put_new(k, SECRET),
        lambda k: store.copy_from(source_of(SECRET), "k", k),
    ):
        with pytest.raises(SealError, match="in clear"):
            write("pool/unit/insert_log/1/2/3/100/4")
        with pytest.raises(SealError, match="sealed to others"):
            write("pool/unit/sealed-age1-0123456789ab/insert_log/1/2/3/100/4")
    assert raw.objects == {}


def test_the_same_content_is_sealed_anew_each_time(raw: MemoryStore, store: SealedStore) -> None:
    store.put(key_of(store, "a"), SECRET)
    store.put(key_of(store, "b"), SECRET)
    one, other = raw.objects.values()
    assert one[-40:] != other[-40:]


def test_what_is_missing_is_missing(store: SealedStore) -> None:
    assert store.head(key_of(store)) is None
    with pytest.raises(ObjectMissing):
        store.get(key_of(store))
    with pytest.raises(ObjectMissing):
        store.copy_from(MemoryStore(), "nothing", key_of(store))


def test_a_length_that_nothing_sealed_has_is_told(raw: MemoryStore, store: SealedStore) -> None:
    key = key_of(store)
    store.put(key, b"")
    raw.put(key, raw.objects[key][:-1])
    assert [i.size for i in store.list("pool/")] == [NO_SIZE]


def test_threads_seal_and_open_at_once(store: SealedStore) -> None:
    wrong: list[str] = []

    def work(number: int) -> None:
        data = DATA[: 30_000 + number]
        key = key_of(store, f"n{number}")
        store.put(key, data)
        if store.get(key) != data:
            wrong.append(key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(list(store.list("pool/"))) == 8


def source_of(data: bytes) -> MemoryStore:
    source = MemoryStore("source")
    source.put("k", data)
    return source


@pytest.fixture(params=["memory", "local", "s3"])
def other(
    request: pytest.FixtureRequest, tmp_path: Path, unique: Callable[[str], str]
) -> ObjectStore:
    """A store on the other side of a copy."""
    if request.param == "memory":
        return MemoryStore("other")
    if request.param == "local":
        return LocalStore(tmp_path / "other")
    from kitestring.clients.store.s3 import S3Store

    endpoint = request.getfixturevalue("aws")
    return S3Store(
        "bucket", prefix=unique("o"), endpoint_url=endpoint, access_key="user",
        secret_key="a-secret",
    )  # fmt: skip


@pytest.mark.parametrize("size", [0, 70_000, 9_000_000])
def test_a_copy_into_the_pool_is_sealed_and_one_out_of_it_is_not(
    other: ObjectStore, sealer: Sealer, size: int
) -> None:
    """Within one server as well: where both are in one bucket, nothing is copied by the server."""
    data = (SECRET * (size // len(SECRET) + 1))[:size]
    wanted = (size, hashlib.sha256(data).hexdigest())
    pool = SealedStore(other, sealer)
    other.put("milvus/insert_log/1", data)
    key = key_of(pool)
    assert pool.copy_from(other, "milvus/insert_log/1", key) == wanted
    assert SECRET not in other.get(key)
    assert other.copy_from(pool, key, "staging/insert_log/1") == wanted
    assert other.get("staging/insert_log/1") == data


def test_a_clear_pool_is_copied_by_the_server(raw: MemoryStore) -> None:
    from kitestring.clients.store.protocol import bare

    assert bare(SealedStore(raw, None)) is raw


def test_a_sealed_pool_is_never_taken_for_what_is_below_it(store: SealedStore) -> None:
    from kitestring.clients.store.protocol import bare

    assert bare(store) is store


# --- keys


def test_a_wrong_identity_opens_nothing(raw: MemoryStore, age_sealer: AgeSealer) -> None:
    from kitestring.backup.seal.age import new_identity, parse_identities

    store = SealedStore(raw, age_sealer)
    store.put(key_of(store), SECRET)
    identity, recipient = new_identity()
    wrong = AgeSealer([recipient], lambda: parse_identities(identity, "test"))
    with pytest.raises(WrongKey, match="does not open with the identity") as error:
        SealedStore(raw, wrong).get(key_of(store))
    assert error.value.exit_code == 1
    assert "identity" in error.value.hint


def test_after_a_change_of_recipients_the_old_is_read_and_not_reused(
    raw: MemoryStore, age_keys: Path
) -> None:
    from kitestring.backup.seal.age import new_identity, parse_identities

    old_identity = (age_keys / "age.key").read_text()
    old_recipient = (age_keys / "age.pub").read_text().strip()
    before = SealedStore(raw, AgeSealer([old_recipient], None))
    before.put(key_of(before), SECRET)
    identity, recipient = new_identity()
    both = parse_identities(f"{identity}\n{old_identity}", "test")
    after = SealedStore(raw, AgeSealer([recipient], lambda: both))
    assert after.get(key_of(before)) == SECRET
    assert after.pool_name("unit") != before.pool_name("unit")
    after.put(key_of(after), SECRET)
    assert after.get(key_of(after)) == SECRET


def test_the_order_of_recipients_is_no_change() -> None:
    one, other = "age1a" + "q" * 58, "age1b" + "q" * 58
    assert AgeSealer([one, other], None).folder == AgeSealer([other, one], None).folder
    assert AgeSealer([one], None).folder != AgeSealer([other], None).folder


def test_a_host_without_identity_seals_and_says_why_it_can_not_open(
    raw: MemoryStore, age_keys: Path
) -> None:
    store = SealedStore(raw, AgeSealer([(age_keys / "age.pub").read_text().strip()], None))
    key = key_of(store)
    assert not store.can_read
    assert store.copy_from(source_of(SECRET), "k", key)[0] == len(SECRET)
    with pytest.raises(SealKeyMissing, match="names no identity"):
        store.get(key)
    assert not store.changed_since_written(key)
    changed = bytearray(raw.objects[key])
    changed[-1] ^= 1
    raw.put(key, bytes(changed))
    assert store.changed_since_written(key)
    raw.delete(key)
    assert store.changed_since_written(key)


def test_a_spec_without_encryption_says_what_it_lacks(raw: MemoryStore, store: SealedStore) -> None:
    store.put(key_of(store), SECRET)
    with pytest.raises(SealKeyMissing, match="says nothing of encryption"):
        SealedStore(raw, None).get(key_of(store))


def test_the_other_way_to_seal_is_named(
    raw: MemoryStore, age_sealer: AgeSealer, kms_sealer: KmsSealer
) -> None:
    age, kms = SealedStore(raw, age_sealer), SealedStore(raw, kms_sealer)
    age.put(key_of(age), SECRET)
    kms.put(key_of(kms), SECRET)
    with pytest.raises(SealKeyMissing, match="sealed by kms"):
        age.get(key_of(kms))
    with pytest.raises(SealKeyMissing, match="sealed by age"):
        kms.get(key_of(age))


def test_a_changed_head_is_not_taken_for_a_wrong_key(
    raw: MemoryStore, age_sealer: AgeSealer
) -> None:
    store = SealedStore(raw, age_sealer)
    key = key_of(store)
    store.put(key, SECRET)
    raw.objects[key] = raw.objects[key].replace(b"-> X25519 ", b"-> X25518 ")
    with pytest.raises(SealBroken):
        store.get(key)


def test_identities_that_can_not_open_are_found_before_anything_is_sealed(
    age_keys: Path,
) -> None:
    from kitestring.backup.seal.age import new_identity, parse_identities

    recipient = (age_keys / "age.pub").read_text().strip()
    other = parse_identities(new_identity()[0], "test")
    with pytest.raises(WrongKey, match="none of the identities"):
        AgeSealer([recipient], lambda: other).prepare("pool/unit/x")


# --- the key service


def test_one_data_key_serves_a_run_and_each_object_carries_it(
    raw: MemoryStore, kms_service: Kms
) -> None:
    calls: list[str] = []

    class Counting:
        def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
            calls.append("generate")
            return kms_service.generate(context)

        def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
            calls.append("unwrap")
            return kms_service.unwrap(wrapped, context)

    store = SealedStore(raw, KmsSealer("k", Counting))
    for name in "abc":
        store.put(key_of(store, name), SECRET)
    assert calls == ["generate"]
    again = SealedStore(raw, KmsSealer("k", Counting))
    for name in "abc":
        raw_alone = MemoryStore()
        raw_alone.put(key_of(store, name), raw.objects[key_of(store, name)])
        assert again.get(key_of(store, name)) == SECRET
    assert calls == ["generate", "unwrap"]


def test_an_object_does_not_open_in_another_one_s_place(
    raw: MemoryStore, kms_sealer: KmsSealer
) -> None:
    store = SealedStore(raw, kms_sealer)
    store.put(key_of(store, "a"), b"one")
    store.put(key_of(store, "b"), b"two")
    raw.put(key_of(store, "a"), raw.objects[key_of(store, "b")])
    with pytest.raises(SealBroken):
        store.get(key_of(store, "a"))
    there = key_of(store, "b").replace("pool/unit/", "pool/other/")
    raw.put(there, raw.objects[key_of(store, "b")])
    fresh = SealedStore(raw, KmsSealer(kms_sealer._key_id, kms_sealer._service))
    with pytest.raises((SealBroken, KeyServiceFailed)):
        fresh.get(there)


def test_a_key_that_is_not_there_is_named(aws: str, credentials: None) -> None:
    sealer = KmsSealer("alias/none", lambda: Kms("alias/none", endpoint_url=aws))
    with pytest.raises(KeyServiceFailed, match="alias/none"):
        sealer.prepare("pool/unit/x")


def test_a_service_that_is_away_is_named(credentials: None) -> None:
    sealer = KmsSealer("k", lambda: Kms("k", endpoint_url="http://127.0.0.1:9"))
    with pytest.raises(KeyServiceFailed, match="does not answer"):
        sealer.prepare("pool/unit/x")


def test_places() -> None:
    assert place_of("pool/unit/insert_log/1") is None
    assert place_of("backups/unit/sealed-kms-0123456789ab/x") is None
    assert place_of("pool/unit/sealed-age0-0123456789ab/x") is None
    found = place_of("pool/unit/sealed-age2-0123456789ab/rows/x")
    assert found is not None
    assert (found.how, found.pool) == ("age", "pool/unit/sealed-age2-0123456789ab")
