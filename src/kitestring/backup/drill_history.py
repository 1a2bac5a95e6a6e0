"""The drill history: one JSON record for each drill, in `<state>/drills/<id>.json`.

Where the spec has `backup.signing`, the signature of a record stands beside it in `<id>.sig`, and a
record without a good one is not believed. A record is written in one step and never changed. One
that can't be read is reported, in `summaries()` as a drill that did not pass, by `record()` and
`records()` as an error: a history that skips what it can't read would claim more than it knows.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

from kitestring.backup.seal.sign import Signer, Verifier, signer_of, verifier_of
from kitestring.clients.textfile import make_folder, write_whole
from kitestring.errors import (
    DrillNotFound,
    DrillRecordUnreadable,
    DrillRefused,
    SignatureInvalid,
)
from kitestring.model.codec import from_plain, to_plain
from kitestring.model.drill import DRILL_VERSION, DrillRecord, DrillSummary
from kitestring.spec.loaded import LoadedSpec

FOLDER = "drills"
_ID = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{6}")


def new_drill_id(now: datetime) -> str:
    """An id that sorts by time: `20250131T013000Z-1a2b3c`."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class DrillHistory:
    """The records of one folder.

    Args:
        signer: signs what is written; None for unsigned records.
        verifier: believes what is read; None believes everything.
    """

    def __init__(
        self, folder: Path, signer: Signer | None = None, verifier: Verifier | None = None
    ) -> None:
        self.folder = folder
        self._signer, self._verifier = signer, verifier

    def check_writable(self) -> None:
        """Says beforehand that a record could not be believed, or signed.

        Raises:
            DrillRefused: the spec believes signed records only, and names no private key; or the
                folder can't be written.
            SecretMissing, SealKeyInvalid: the private key can't be read.
        """
        there = next(p for p in (self.folder, *self.folder.parents) if p.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            why = "may not be written" if there.is_dir() else "is a file"
            raise DrillRefused(
                f"the record of a drill would be kept in {self.folder}, but {there} {why}",
                hint="correct `state` in the spec, or the owner and mode of that directory",
                subject=str(there),
            )
        if self._signer is not None:
            self._signer.sign_document(b"", "check")
        elif self._verifier is not None:
            raise DrillRefused(
                "the spec believes signed drill records only, and names no key to sign them with",
                hint="name `backup.signing.key` in the spec of the host that drills",
            )

    def write(self, record: DrillRecord) -> Path:
        """Keeps a record; it is there whole or not at all.

        Raises:
            ValueError: the record's id is not one of `new_drill_id`.
            StoreError, StoreFull: the folder can't be written.
        """
        if not _ID.fullmatch(record.id):
            raise ValueError(f"{record.id!r} is no drill id")
        data = json.dumps(to_plain(record), indent=2, allow_nan=False).encode() + b"\n"
        make_folder(self.folder, hint="correct `state` in the spec")
        path = self.folder / f"{record.id}.json"
        if self._signer is not None:  # first: a record is never there without its signature
            signature = self._signer.sign_document(data, _context(record.id))
            write_whole(path.with_suffix(".sig"), signature, durable=True)
        write_whole(path, data, durable=True)
        return path

    def ids(self) -> list[str]:
        """The ids of all records, newest first, whether they can be read or not."""
        if not self.folder.is_dir():
            return []
        names = (p.stem for p in self.folder.glob("*.json") if not p.name.startswith("."))
        return sorted(names, reverse=True)

    def record(self, drill_id: str) -> DrillRecord:
        """The record of a drill; `latest` names the newest one.

        Raises:
            DrillNotFound: there is no such record.
            DrillRecordUnreadable: there is one, and it can't be read.
        """
        known = self.ids()
        wanted = (known[0] if known else "") if drill_id == "latest" else drill_id
        if wanted not in known:
            raise DrillNotFound(
                f"the history has no drill `{drill_id}`"
                if known
                else "no drill has been run yet: the history is empty",
                hint="kitestring drill list" if known else "kitestring drill run",
                subject=drill_id,
            )
        path = self.folder / f"{wanted}.json"
        try:
            raw = path.read_bytes()
            if self._verifier is not None:
                self._check(raw, wanted)
            data = json.loads(raw)
            if isinstance(data, dict) and data.get("schema_version") != DRILL_VERSION:
                raise ValueError(
                    f"schema_version is {data.get('schema_version')!r}, not {DRILL_VERSION}"
                )
            found = from_plain(DrillRecord, data)
            if found.id != wanted:
                raise ValueError(f"the record says that its id is {found.id!r}")
        except (OSError, ValueError, SignatureInvalid) as error:
            raise DrillRecordUnreadable(
                f"the drill record {path} can't be read: {error}",
                hint="restore the file from a copy, or move it out of the history",
                subject=wanted,
            ) from None
        return found

    def _check(self, raw: bytes, drill_id: str) -> None:
        path = self.folder / f"{drill_id}.sig"
        signature = path.read_bytes() if path.exists() else None
        if self._verifier is not None:
            self._verifier.check_document(raw, _context(drill_id), signature)

    def records(self) -> list[DrillRecord]:
        """All records, newest first.

        Raises:
            DrillRecordUnreadable: one of them can't be read.
        """
        return [self.record(drill_id) for drill_id in self.ids()]

    def summaries(self) -> list[DrillSummary]:
        """All records in short, newest first; one that can't be read says so and did not pass."""
        return [self._summary(drill_id) for drill_id in self.ids()]

    def _summary(self, drill_id: str) -> DrillSummary:
        try:
            return summary_of(self.record(drill_id))
        except DrillRecordUnreadable as error:
            return DrillSummary(
                drill_id, "", _time_of(drill_id), False, 0.0, 0.0, {}, False, error.message
            )


def summary_of(record: DrillRecord) -> DrillSummary:
    """The few facts of a record that listings and checks need."""
    return DrillSummary(
        id=record.id,
        backup=record.backup,
        started_at=record.started_at,
        passed=record.passed,
        rpo_seconds=record.rpo_seconds,
        rto_seconds=record.rto,
        phases={phase.name: phase.seconds for phase in record.phases},
        full_seconds=record.full_seconds,
        sampled=record.sampled,
    )


def open_history(loaded: LoadedSpec) -> DrillHistory:
    """The history in the spec's state directory; nothing is created until a record is written."""
    return DrillHistory(loaded.state_dir / FOLDER, signer_of(loaded), verifier_of(loaded))


def _context(drill_id: str) -> str:
    """What a signature says that it is of."""
    return f"drill {drill_id}"


def _time_of(drill_id: str) -> int:
    """The time in an id, in ms since the epoch; 0 where there is none."""
    match = _ID.fullmatch(drill_id)
    if match is None:
        return 0
    when = datetime.strptime(match.group(1), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(when.timestamp() * 1000)
