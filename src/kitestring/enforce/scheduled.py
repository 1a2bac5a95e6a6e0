"""One run of a scheduled task: alone, logged, measured, and told of when it fails.

Cron knows nothing of these: it starts a line again while the last one still runs, and mails what a
line prints. So this prints nothing after a success, and after anything else what ended how, with
the end of what it said.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kitestring.clients.cron import LOG_BYTES, LOGS_KEPT, VERBS, log_of, record_of
from kitestring.clients.exclusive import exclusive
from kitestring.clients.textfile import STATE_HINT, write_whole
from kitestring.enforce.notify import Message, tell
from kitestring.errors import EnforceError
from kitestring.render.prometheus import Gauge, metrics_as_text
from kitestring.spec.loaded import LoadedSpec

MEANING = {
    1: "an error",
    2: "drift, a failed check or a missed objective",
    3: "it could not be told",
    64: "wrong usage",
    130: "interrupted",
}
_TAIL_LINES = 30


@dataclass(frozen=True, slots=True)
class TaskRun:
    """How a scheduled task ended. `started` is ms since the epoch."""

    task: str
    cluster: str
    started: int
    seconds: float
    exit_code: int
    log: str
    tail: str = ""  # the end of what it printed
    unheard: Mapping[str, str] = field(default_factory=dict)  # why one of `day2` was not told

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "task": self.task,
            "cluster": self.cluster,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
            "log": self.log,
        }

    def lines(self) -> Iterator[str]:
        """What somebody has to be told of a run that did not end well."""
        meaning = MEANING.get(self.exit_code, f"signal {-self.exit_code}")
        yield (
            f"kitestring {self.task} of {self.cluster} ended with exit code {self.exit_code} "
            f"({meaning}) after {self.seconds:.0f} s"
        )
        yield from self.tail.splitlines()
        yield f"the whole of it: {self.log}"
        for name, why in self.unheard.items():
            yield f"`{name}` could not be told: {why}"


def run_scheduled(loaded: LoadedSpec, task: str) -> TaskRun:
    """Runs a task of `VERBS` in a process of its own, and keeps log, record and metrics.

    Raises:
        EnforceBusy: it is still running since the last time.
        EnforceError: its log can't be written.
    """
    folder = loaded.state_dir / "schedules"
    log = log_of(loaded, task)
    with exclusive(folder / f"{task}.lock", f"scheduled {task}"):
        started, begun = int(time.time() * 1000), time.monotonic()
        try:
            _rotate(log)
            with log.open("ab") as out:
                start = out.tell()
                out.write(f"--- {_stamp(started)} {task}\n".encode())
                out.flush()
                code = _run(_command(loaded, task), out.fileno())
        except OSError as error:
            raise EnforceError(
                f"the log {log} can't be written: {error.strerror}",
                hint=STATE_HINT,
                subject=str(log),
            ) from None
        done = TaskRun(
            task,
            loaded.spec.cluster.name,
            started,
            time.monotonic() - begun,
            code,
            str(log),
            _tail(log, start),
        )
        write_whole(record_of(loaded, task), json.dumps(done.as_dict(), indent=2) + "\n")
        write_whole(_metrics_file(loaded, task), metrics_as_text(_gauges(done)))
    return replace(done, unheard=_notify(loaded, done)) if code else done


def _command(loaded: LoadedSpec, task: str) -> list[str]:
    spec = str(loaded.file.resolve())
    more = _drill_target(loaded) if task == "drill" else []
    return [sys.executable, "-m", "kitestring", *VERBS[task], *more, "--spec", spec]


def _drill_target(loaded: LoadedSpec) -> list[str]:
    drill = loaded.spec.day2.drill
    if drill.target_spec is not None:
        return ["--target-spec", str(loaded.resolve(drill.target_spec))]
    return ["--target", drill.target] if drill.target != "embedded" else []


def _run(command: list[str], out: int) -> int:
    """Its exit code; an interrupt or a request to end is passed on to it."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
    ) as process:

        def pass_on(number: int, _: object) -> None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

        before = {n: signal.signal(n, pass_on) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            return process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists() or log.stat().st_size < LOG_BYTES:
        return
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as read:
        read.seek(start)
        lines = read.read().decode(errors="replace").splitlines()[1:]
    return "\n".join(lines[-_TAIL_LINES:])


def _metrics_file(loaded: LoadedSpec, task: str) -> Path:
    named = loaded.spec.day2.textfiles
    folder = loaded.resolve(named) if named else loaded.state_dir / "schedules"
    return folder / f"kitestring_{loaded.spec.cluster.name}_{task}.prom"


def _gauges(done: TaskRun) -> list[Gauge]:
    labels = {"cluster": done.cluster, "task": done.task}
    ended = done.started / 1000 + done.seconds
    return [
        Gauge(
            "kitestring_task_exit_code",
            "How the newest run of a scheduled task ended; 0 is well",
            [(labels, done.exit_code)],
        ),
        Gauge(
            "kitestring_task_end_timestamp_seconds",
            "When the newest run of a scheduled task ended",
            [(labels, round(ended, 3))],
        ),
        Gauge(
            "kitestring_task_duration_seconds",
            "How long the newest run of a scheduled task took",
            [(labels, round(done.seconds, 3))],
        ),
    ]


def _notify(loaded: LoadedSpec, done: TaskRun) -> dict[str, str]:
    """Tells whom the spec names; by their keys, why some could not be told."""
    subject, *text = done.lines()
    facts = {k: v for k, v in done.as_dict().items() if k != "schema_version"}
    return tell(loaded, Message(subject, "\n".join(text), facts))


def _stamp(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms / 1000))
