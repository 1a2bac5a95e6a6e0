"""The state file of an embedded server: `<data>/kitestring-local.json`.

`kitestring.local` writes it; whoever connects reads it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from kitestring.model.codec import from_plain, to_plain

STATE_FILE = "kitestring-local.json"


@dataclass(frozen=True, slots=True)
class StackState:
    """A running embedded server. `started` is the process's start time, so that a process that
    got the same id later is not taken for it."""

    pid: int
    started: float  # seconds since the epoch
    port: int
    metrics_port: int
    version: str
    root_path: str  # where the server keeps insert_log/ and the rest

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def read_stack_state(data: Path) -> StackState | None:
    """The state of the server of a data directory, or None where none is said to run."""
    try:
        return from_plain(StackState, json.loads((data / STATE_FILE).read_text()))
    except (OSError, ValueError):
        return None


def write_stack_state(data: Path, state: StackState) -> None:
    """Writes the state file in one step."""
    temporary = data / f"{STATE_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(to_plain(state), indent=2) + "\n")
    temporary.replace(data / STATE_FILE)
