"""One look at a cluster for all tasks of a play: kept in a file for as long as it is true.

A look only ever spares another one. It has the answers of the tasks for which it found nothing to
do; a task that has something to do, or options of its own, looks for itself. The file is gone as
soon as a task of this host changes the cluster.

This is read by every module of a play, before anything that takes time to import.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitestring.spec.loaded import LoadedSpec

FRESH = 600.0  # seconds


def keep_answers(loaded: LoadedSpec, answers: Mapping[str, Any]) -> Path:
    """Writes the answers to a file of a new name below the spec's state, in place of older ones.

    Raises:
        EnforceError: the directory can't be written.
    """
    from kitestring.clients.textfile import write_whole

    state, spec = loaded.state_dir, loaded.file.resolve()
    kept = {
        "schema_version": 1,
        "spec": str(spec),
        "digest": _digest(spec),
        "at": time.time(),
        "answers": dict(answers),
    }
    forget(loaded)
    file = state / _name(loaded, uuid.uuid4().hex)
    try:
        state.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(kept))
    except OSError as error:
        raise _unwritable(state, error) from None
    return file


def recall(file: Path, spec: Path, task: str) -> dict[str, Any] | None:
    """The answer of a task for which there is nothing to do.

    None where there is none: something has to be done, the cluster or the spec was changed since,
    or the look was longer ago than `FRESH`.
    """
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        spec = spec.resolve(strict=True)
        mine = kept["spec"] == str(spec) and kept["digest"] == _digest(spec)
        fresh = 0 <= time.time() - kept["at"] <= FRESH
        answer = kept["answers"].get(task)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return answer if mine and fresh and isinstance(answer, dict) else None


def forget(loaded: LoadedSpec) -> None:
    """Removes what was kept: the cluster is not any more as it was.

    Raises:
        EnforceError: it can't be removed.
    """
    for old in loaded.state_dir.glob(_name(loaded, "*")):
        try:
            old.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(old, error) from None


def _name(loaded: LoadedSpec, number: str) -> str:
    return f"observation-{loaded.spec.cluster.name}-{number}.json"


def _unwritable(path: Path, error: OSError) -> Exception:
    from kitestring.clients.textfile import STATE_HINT
    from kitestring.errors import EnforceError

    return EnforceError(
        f"{path} can't be written: {error.strerror}",
        hint=STATE_HINT,
        subject=str(path),
    )


def _digest(spec: Path) -> str:
    return hashlib.sha256(spec.read_bytes()).hexdigest()
