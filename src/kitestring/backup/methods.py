"""Which method backs a server up: by evidence, not because code exists for it.

A method is trusted for a server version once a drill of one of its backups has passed on that
version; the drill history says which have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kitestring.backup.drill_history import open_history
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import DrillRecordUnreadable, UsageError
from kitestring.model.backup import BackupManifest
from kitestring.model.drill import DrillRecord
from kitestring.model.method import Evidence
from kitestring.spec.backup import Budget
from kitestring.spec.loaded import LoadedSpec

PHYSICAL, LOGICAL, AUTO = "physical", "logical", "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """A method, and why it is that one."""

    method: str
    why: str


def plain_version(version: str) -> str:
    """`2.3.5` of `v2.3.5-dev+abc`; what does not begin with numbers stays as it is."""
    found = re.match(r"v?(\d+\.\d+\.\d+)", version.strip())
    return found[1] if found else version.strip()


def evidence(records: Iterable[DrillRecord]) -> tuple[Evidence, ...]:
    """What the records come to: newest versions first, each with its methods."""
    groups: dict[tuple[str, str], list[DrillRecord]] = {}
    for record in records:
        groups.setdefault((plain_version(record.server_version), record.method), []).append(record)
    found = [_of(version, method, group) for (version, method), group in groups.items()]
    return tuple(sorted(found, key=lambda e: (_order(e.version), e.method), reverse=True))


def _of(version: str, method: str, records: Sequence[DrillRecord]) -> Evidence:
    passed = [r for r in records if r.passed]
    return Evidence(
        version,
        method,
        len(passed),
        len(records) - len(passed),
        max(r.started_at for r in records),
        max((r.started_at for r in passed), default=None),
        sum(r.sampled is not None for r in passed),
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in version.split("."))


def choose(wanted: str, version: str, records: Iterable[DrillRecord]) -> Choice:
    """The method for a server of that version.

    Args:
        wanted: `physical` or `logical`, which is then it; `auto` for physical where a drill of a
            whole physical backup has passed on this very version, else logical.
    """
    if wanted in (PHYSICAL, LOGICAL):
        return Choice(wanted, "as asked for")
    if wanted != AUTO:
        raise UsageError(f"`{wanted}` is no method: {PHYSICAL}, {LOGICAL} or {AUTO}")
    known = plain_version(version)
    for found in evidence(records):
        if (found.version, found.method) == (known, PHYSICAL) and found.proven:
            return Choice(PHYSICAL, f"{found.passed} drills have passed on {known}")
    return Choice(
        LOGICAL,
        f"no drill of a whole physical backup has passed on {known} yet: back up by "
        "`--method physical` and run `kitestring drill run`",
    )


def read_evidence(loaded: LoadedSpec) -> tuple[list[DrillRecord], list[str]]:
    """The records of the spec's drill history, and what is wrong with those that can't be read
    (they prove nothing)."""
    history = open_history(loaded)
    records, problems = [], []
    for drill_id in history.ids():
        try:
            records.append(history.record(drill_id))
        except DrillRecordUnreadable as error:
            problems.append(error.message)
    return records, problems


def make_backup(
    loaded: LoadedSpec,
    milvus: Milvus,
    *,
    method: str | None = None,
    collections: Sequence[str] | None = None,
    where: str = "",
    partitions: Sequence[str] = (),
    read_by: str = AUTO,
    full: bool = False,
    budget: Budget | None = None,
    read_back: str | None = None,
    on_event: Callable[[str], None] | None = None,
) -> BackupManifest:
    """Makes a backup by the method that is asked for, the spec's, or the proven one.

    Args:
        method: instead of the spec's.
        where, partitions, read_by, full: of the logical method (see `create_logical`).
        read_back: of the physical method (see `create_backup`).

    Raises:
        UsageError: an option is not of the method.
        what `create_backup` and `create_logical` raise.
    """
    tell = on_event or (lambda _line: None)
    spec = loaded.spec.backup
    wanted = method or (spec.method if spec else AUTO)
    only_logical = bool(where or partitions or full or read_by != AUTO)
    if wanted == AUTO and only_logical:
        choice = Choice(LOGICAL, "an option of it is given")
    else:
        choice = choose(wanted, milvus.version(), read_evidence(loaded)[0])
    if wanted == AUTO:
        tell(f"method {choice.method}: {choice.why}")
    if choice.method == PHYSICAL:
        if only_logical:
            raise UsageError(
                "`--where`, `--partition`, `--via` and `--full` are of the logical method",
                hint="--method logical",
            )
        from kitestring.backup.create import create_backup

        return create_backup(
            loaded, milvus, collections=collections, budget=budget, read_back=read_back,
            on_event=on_event,
        )  # fmt: skip
    if read_back is not None:
        raise UsageError("`--read-back` is of the physical method", hint="--method physical")
    from kitestring.backup.logical.create import create_logical
    from kitestring.backup.logical.part import Part

    return create_logical(
        loaded, milvus, collections=collections, part=Part(where, tuple(partitions)),
        read_by=read_by, full=full, budget=budget, on_event=on_event,
    )  # fmt: skip
