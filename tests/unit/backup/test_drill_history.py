"""The drill history: records are kept whole, and what can't be read is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kitestring.backup.drill_history import DrillHistory, new_drill_id, open_history
from kitestring.errors import (
    DrillNotFound,
    DrillRecordUnreadable,
    DrillRefused,
    StoreError,
    StoreFull,
)
from kitestring.model.drill import CollectionScore, DrillRecord, Objective, Phase, Recall
from kitestring.spec.load import load

RECORD = DrillRecord(
    id="20250131T013000Z-1a2b3c",
    backup="20250131T010000Z-aaaaaa",
    cluster="local",
    server_version="v2.3.5",
    started_at=1_738_287_000_000,
    finished_at=1_738_287_020_000,
    boundary=1_738_285_200_000,
    rpo_seconds=1800.0,
    rto_seconds=9.5,
    phases=(Phase("target", 4.0), Phase("copy", 1.5), Phase("import", 8.0)),
    collections=(
        CollectionScore(
            "docs",
            10,
            10,
            True,
            True,
            0,
            ("alias `docs`",),
            Recall(10, 40, 0.99, 0.98, 1.0, 0.9, None),
            "40 golden queries",
        ),
    ),
    objectives=(Objective("rpo", "at most 24h", "30 min", True),),
    passed=True,
    notes=("a note",),
)


def history(tmp_path: Path) -> DrillHistory:
    return DrillHistory(tmp_path / "state" / "drills")


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = history(tmp_path)
    kept.write(RECORD)
    assert kept.record(RECORD.id) == RECORD
    assert kept.record("latest") == RECORD


def test_the_newest_drill_is_first(tmp_path: Path) -> None:
    kept = history(tmp_path)
    for day in ("03", "01", "02"):
        kept.write(replace(RECORD, id=f"202502{day}T000000Z-000000"))
    assert [s.id[:8] for s in kept.summaries()] == ["20250203", "20250202", "20250201"]
    assert [r.id[:8] for r in kept.records()] == ["20250203", "20250202", "20250201"]
    assert kept.record("latest").id.startswith("20250203")


def test_a_summary_has_the_phases_by_name(tmp_path: Path) -> None:
    kept = history(tmp_path)
    kept.write(RECORD)
    (summary,) = kept.summaries()
    assert summary.phases == {"target": 4.0, "copy": 1.5, "import": 8.0}
    assert (summary.passed, summary.readable, summary.rpo_seconds) == (True, True, 1800.0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _text: "",
        lambda _text: "[]",
        lambda text: text.replace('"schema_version": 1', '"schema_version": 9'),
        lambda text: text.replace('"passed": true', '"passed": true, "pased": true'),
        lambda text: text.replace('"rpo_seconds": 1800.0', '"rpo_seconds": "soon"'),
        lambda text: text.replace("-1a2b3c", "-ffffff"),
    ],
    ids=["cut", "empty", "other-json", "newer-version", "unknown-key", "type", "other-id"],
)
def test_a_record_that_cannot_be_read_is_reported_and_has_not_passed(
    tmp_path: Path, damage: object
) -> None:
    kept = history(tmp_path)
    path = kept.write(RECORD)
    kept.write(replace(RECORD, id="20250101T000000Z-000000"))
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    newest, older = kept.summaries()
    assert not newest.readable
    assert not newest.passed
    assert str(path) in newest.problem
    assert newest.started_at == 1_738_287_000_000  # from its id
    assert older.readable
    with pytest.raises(DrillRecordUnreadable, match="can't be read"):
        kept.record(RECORD.id)
    with pytest.raises(DrillRecordUnreadable):
        kept.records()


@pytest.mark.parametrize("name", ["../state", "20250131T013000Z-ffffff", "", "latest "])
def test_an_unknown_drill_is_not_found(tmp_path: Path, name: str) -> None:
    kept = history(tmp_path)
    kept.write(RECORD)
    with pytest.raises(DrillNotFound, match="no drill"):
        kept.record(name)


def test_an_empty_history_says_that_no_drill_was_run(tmp_path: Path) -> None:
    kept = history(tmp_path)
    assert kept.summaries() == []
    assert not kept.folder.exists()
    with pytest.raises(DrillNotFound, match="no drill has been run"):
        kept.record("latest")


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    kept = history(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        kept.write(replace(RECORD, rto_seconds=float("nan")))
    assert not kept.folder.exists()
    with pytest.raises(ValueError, match="drill id"):
        kept.write(replace(RECORD, id="../x"))


def test_ids_sort_by_time() -> None:
    first = new_drill_id(datetime(2025, 1, 31, 9, tzinfo=UTC))
    second = new_drill_id(datetime(2025, 1, 31, 10, tzinfo=UTC))
    assert first < second
    assert first.startswith("20250131T090000Z-")


# --- signatures


@pytest.fixture
def signed(tmp_path: Path) -> Callable[..., DrillHistory]:
    """The history of a spec that believes one key, with or without its private half."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    (tmp_path / "signing.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "signing.pub").write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    def opened(private: bool = True) -> DrillHistory:
        key_line = "key: {file: signing.key}, " if private else ""
        file = tmp_path / "signed.yaml"
        file.write_text(
            "version: 1\ncluster: {name: unit}\nconnection: {uri: 'http://127.0.0.1:1'}\n"
            "state: state\nstorage: {type: local, path: milvus}\n"
            "backup:\n  store: {type: local, path: backups}\n"
            f"  signing: {{{key_line}trusted: [signing.pub]}}\n"
        )
        return open_history(load(file))

    return opened


def test_a_signed_record_is_believed_and_a_changed_one_is_not(
    signed: Callable[..., DrillHistory],
) -> None:
    kept = signed()
    kept.check_writable()
    path = kept.write(RECORD)
    assert signed(private=False).record(RECORD.id) == RECORD
    path.write_text(path.read_text().replace('"passed": true', '"passed": false'))
    with pytest.raises(DrillRecordUnreadable, match="signature"):
        kept.record(RECORD.id)
    (listed,) = kept.summaries()
    assert (listed.readable, listed.passed) == (False, False)


def test_a_signature_of_another_record_is_worth_nothing(
    signed: Callable[..., DrillHistory],
) -> None:
    kept = signed()
    first = kept.write(RECORD)
    other = replace(RECORD, id="20250201T013000Z-ffffff")
    second = kept.write(other)
    second.with_suffix(".sig").write_bytes(first.with_suffix(".sig").read_bytes())
    with pytest.raises(DrillRecordUnreadable):
        kept.record(other.id)
    second.with_suffix(".sig").unlink()
    with pytest.raises(DrillRecordUnreadable, match="not signed"):
        kept.record(other.id)


def test_without_a_private_key_no_drill_is_begun_that_nobody_would_believe(
    signed: Callable[..., DrillHistory],
) -> None:
    with pytest.raises(DrillRefused, match="no key to sign"):
        signed(private=False).check_writable()


def test_a_history_that_can_not_be_kept_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(DrillRefused, match="state is a file") as error:
        history(tmp_path).check_writable()
    assert "`state` in the spec" in error.value.hint
    with pytest.raises(StoreError, match="drills cannot be written"):
        history(tmp_path).write(RECORD)


def test_a_full_disk_is_told_and_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = history(tmp_path)
    kept.check_writable()
    assert not kept.folder.exists()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFull, match=RECORD.id):
        kept.write(RECORD)
    assert list(kept.folder.iterdir()) == []
