"""Records and the history in the format asked for, onto stdout or into a file."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from kitestring.backup.catalog import open_catalog
from kitestring.backup.drill_history import open_history
from kitestring.clients.textfile import require_writable, write_whole
from kitestring.errors import DrillRecordUnreadable, KitestringError, StoreError, UsageError
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillRecord
from kitestring.render.drill import drill_html, drill_json, drill_markdown, drill_text
from kitestring.render.drill_history import History, history_html, history_json, history_text
from kitestring.spec.loaded import LoadedSpec

FORMATS = {
    "text": drill_text,
    "json": drill_json,
    "html": drill_html,
    "markdown": drill_markdown,
}
HISTORY_FORMATS = {"text": history_text, "json": history_json, "html": history_html}


def check_out(out: Path | None) -> None:
    """Says beforehand that a file can't be written: a drill is too long to find out after it.

    Raises:
        UsageError: there is no such folder, no permission, or a folder of that name.
    """
    if out is None:
        return
    try:
        require_writable(out)
    except StoreError as error:
        raise UsageError(f"`--out`: {error.message}", hint=error.hint) from None


def show_record(record: DrillRecord, output: str, out: Path | None = None) -> None:
    """Writes the record in the format `output`.

    Raises:
        StoreError: the file can't be written; nothing half-written is left.
    """
    _show(FORMATS[output](record), out, f"the drill is kept: kitestring drill show {record.id}")


def read_history(loaded: LoadedSpec) -> History:
    """The drills of a spec's history, and the backups of its catalog where that can be read."""
    history = open_history(loaded)
    records = []
    for drill_id in history.ids():
        with suppress(DrillRecordUnreadable):  # its summary says so
            records.append(history.record(drill_id))
    backups: list[BackupSummary] = []
    problem = ""
    try:
        backups = [
            b for b in open_catalog(loaded).summaries() if b.cluster == loaded.spec.cluster.name
        ]
    except KitestringError as error:
        problem = f"the catalog can't be read: {error.message}"
    return History(
        loaded.spec.cluster.name,
        history.summaries(),
        records,
        backups,
        problem,
        loaded.spec.objectives,
    )


def show_history(history: History, output: str, out: Path | None = None) -> None:
    """Writes the history in the format `output`; raises as `show_record`."""
    _show(HISTORY_FORMATS[output](history), out)


def show_report(
    loaded: LoadedSpec, history: History, drill_id: str, out: Path | None = None
) -> None:
    """Writes the page of a drill and the history.

    Raises:
        DrillNotFound, DrillRecordUnreadable: of that drill. And as `show_record`.
    """
    record = open_history(loaded).record(drill_id)
    _show(history_html(history, record) + "\n", out)


def _show(text: str, out: Path | None, hint: str = "") -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        write_whole(out, text)
    except StoreError as error:
        error.hint = hint or error.hint
        raise
