"""A record in the format asked for, onto stdout or into a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kitestring.errors import KitestringError, UsageError
from kitestring.model.drill import DrillRecord
from kitestring.render.drill import drill_html, drill_json, drill_markdown, drill_text

FORMATS = {
    "text": drill_text,
    "json": drill_json,
    "html": drill_html,
    "markdown": drill_markdown,
}


def check_out(out: Path | None) -> None:
    """Says beforehand that a file can't be written: a drill is too long to find out after it.

    Raises:
        UsageError: there is no such folder, or no permission.
    """
    if out is not None and not (out.parent.is_dir() and os.access(out.parent, os.W_OK)):
        raise UsageError(f"`--out {out}`: the folder {out.parent} is not there or not writable")


def show_record(record: DrillRecord, output: str, out: Path | None = None) -> None:
    """Writes the record in the format `output`.

    Raises:
        KitestringError: the file can't be written; nothing half-written is left.
    """
    text = FORMATS[output](record)
    if out is None:
        sys.stdout.write(text)
        return
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(out)
    except OSError as error:
        raise KitestringError(
            f"{out} can't be written: {error.strerror}",
            hint=f"the drill is kept: kitestring drill show {record.id}",
        ) from None
    finally:
        if temporary.exists():
            temporary.unlink()
