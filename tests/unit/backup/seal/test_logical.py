"""Logical backups, sealed by age and by KMS: incremental, verified, damaged, read."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.backup.catalog import open_catalog
from kitestring.backup.logical.create import create_logical
from kitestring.backup.logical.rows import read_rows
from kitestring.backup.pool import PoolReader
from kitestring.backup.seal.sealer import place_of
from kitestring.backup.verify import verify
from kitestring.clients.kms import Kms
from kitestring.errors import KitestringError, SealKeyMissing
from kitestring.model.backup import BackupManifest
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

FLIPS = 60


@pytest.fixture(params=["age", "kms"])
def sealed(
    request: pytest.FixtureRequest,
    loaded: LoadedSpec,
    age_keys: Path,
    aws: str,
    kms_service: Kms,
    credentials: None,
) -> LoadedSpec:
    """The spec of the fake server with encryption."""
    text = loaded.file.read_text()
    recipient = (age_keys / "age.pub").read_text().strip()
    lines = {
        "age": f"{{type: age, recipients: [{recipient}], identity: {{file: keys/age.key}}}}",
        "kms": f"{{type: kms, key_id: {kms_service.key_id}, endpoint_url: '{aws}'}}",
    }
    below = (
        f"backup:\n  store: {{type: local, path: backups}}\n  encryption: {lines[request.param]}\n"
    )
    loaded.file.write_text(text[: text.index("backup:")] + below)
    return load(loaded.file)


def files(loaded: LoadedSpec, made: BackupManifest) -> list[Path]:
    keys = {o.key for c in made.collections for o in c.objects}
    return [loaded.resolve("backups") / key for key in sorted(keys)]


def test_it_is_secret_incremental_and_read_back(server: Any, sealed: LoadedSpec) -> None:
    first = create_logical(sealed, server)
    server.upsert("docs", ["k001", "new"], version=1)
    second = create_logical(sealed, server)
    assert second.reused_bytes > 0
    catalog = open_catalog(sealed)
    for made in (first, second):
        assert verify(catalog, made.id, tier="full").passed
        for path in files(sealed, made):
            assert place_of(str(path.relative_to(sealed.resolve("backups"))))
            assert b"PAR1" not in path.read_bytes()
    docs = second.collections[0]
    batches = read_rows(PoolReader(catalog.store, docs.objects), docs)
    assert {key for b in batches for key in b["id"].to_pylist()} == set(server.alive("docs"))


def test_every_flipped_bit_is_found(
    server: Any, sealed: LoadedSpec, flip: Callable[[Path, int], None]
) -> None:
    create_logical(sealed, server)
    server.upsert("docs", [f"k{n:03d}" for n in range(5)], version=1)
    made = create_logical(sealed, server)  # rows of two files, and which of them are gone
    catalog, draw = open_catalog(sealed), random.Random(20250131)  # noqa: S311 - no secret
    there, found = files(sealed, made), 0
    assert len(there) > 2
    for number in range(FLIPS):
        path = there[number % len(there)]
        whole = path.read_bytes()
        flip(path, draw.randrange(len(whole) * 8))
        try:
            found += not verify(catalog, made.id, tier="full").passed
        except KitestringError:
            found += 1
        path.write_bytes(whole)
    print(f"{FLIPS} flips, {found} found")
    assert found == FLIPS
    assert verify(catalog, made.id, tier="full").passed


def test_without_the_key_nothing_is_read(server: Any, sealed: LoadedSpec) -> None:
    made = create_logical(sealed, server)
    text = sealed.file.read_text()
    sealed.file.write_text("".join(x for x in text.splitlines(True) if "encryption" not in x))
    with pytest.raises(SealKeyMissing):
        verify(open_catalog(load(sealed.file)), made.id, tier="full")
