"""Runs a click command as a process: its streams, its errors, its exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

import click

from kitestring.errors import Internal, Interrupted, KitestringError, StoreError, UsageError
from kitestring.segments.memory import lean_arrow

SCHEMA_VERSION = 1


class _Stdout(io.FileIO):
    """Remembers what became of what was written."""

    used = False
    fault: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError as error:
            self.fault = error
            raise
        self.used = True
        return written


def launch(command: click.Command, name: str) -> NoReturn:
    """What the console script and `scripts/` call: runs a command and ends the process."""
    _open_streams()
    leave(run(command, sys.argv[1:], name))


def run(command: click.Command, arguments: Sequence[str], name: str) -> int:
    """Runs a click command and returns its exit code; a user's mistake gives no traceback.

    With `--output json` an error that nothing was printed before is a document on stdout, too:
    `{"schema_version": 1, "error": {"code", "message", "hint", "subject", "exit_code"}}`.
    """
    lean_arrow()
    try:
        result: Any = command.main(list(arguments), prog_name=name, standalone_mode=False)
        sys.stdout.flush()  # what could not be written is no success
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except KeyboardInterrupt:
        return _fail(Interrupted("interrupted"), arguments)
    except Exception as error:
        stdout = _stdout()
        if stdout is not None and stdout.fault is not None:
            return _unwritten(stdout.fault)
        told = _told(error, name)
        if isinstance(told, Internal) and any(a in ("-v", "--verbose") for a in arguments):
            raise
        return _fail(told, arguments)
    return result if isinstance(result, int) else 0


def leave(code: int) -> NoReturn:
    """Ends the process with an exit code.

    After an interrupt it ends without finalizers: a gRPC channel that was in a call when the
    interrupt came can wait in its own for ever.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if code == Interrupted.exit_code:
        os._exit(code)
    sys.exit(code)


def _open_streams() -> None:
    """Gives the process the streams that it was started without, and a stdout that remembers."""
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:
            # else the next file that is opened gets the number, and what libraries print
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, stream, open(null, mode, closefd=False))  # noqa: SIM115 - the process's
    sys.stdout.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Stdout(sys.stdout.fileno(), "w", closefd=False)),
        sys.stdout.encoding,
        "backslashreplace",  # a name that is no text, a terminal without the letter
        line_buffering=True,
    )


def _stdout() -> _Stdout | None:
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Stdout) else None


def _unwritten(fault: OSError) -> int:
    """Gives up on stdout. Who closed the pipe, such as `head`, knows."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())  # what is left in the buffer must not fail again at the end
    os.close(null)
    if not isinstance(fault, BrokenPipeError):
        _say(StoreError(f"stdout can't be written: {fault.strerror}"))
    return 1


def _told(error: Exception, name: str) -> KitestringError:
    """What a user is told of an error."""
    if isinstance(error, KitestringError):
        return error
    if isinstance(error, click.Abort):
        return Interrupted("interrupted")
    if isinstance(error, click.UsageError):
        context = error.ctx.command_path if error.ctx else name
        return UsageError(error.format_message(), hint=f"{context} --help")
    if isinstance(error, click.ClickException):
        return KitestringError(error.format_message())
    return Internal(
        f"internal error: {type(error).__name__}: {error}",
        hint="this is a fault of kitestring; run again with -v and report what it prints",
    )


def _fail(error: KitestringError, arguments: Sequence[str]) -> int:
    stdout = _stdout()
    if _wants_json(arguments) and not (stdout is not None and stdout.used):
        import json  # slow to import for what help needs

        body = {**error.as_dict(), "exit_code": error.exit_code}
        with contextlib.suppress(OSError):
            click.echo(json.dumps({"schema_version": SCHEMA_VERSION, "error": body}))
    _say(error)
    return error.exit_code


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether stdout is for a program: read from the words, as wrong usage is not parsed."""
    if any(a == "--out" or a.startswith("--out=") for a in arguments):
        return False
    asked = {"-ojson", "--output=json"}
    return bool(asked.intersection(arguments)) or any(
        flag in ("-o", "--output") and value == "json" for flag, value in pairwise(arguments)
    )


def _say(error: KitestringError) -> None:
    with contextlib.suppress(OSError):  # the exit code tells it all the same
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"\nhint: {error.hint}", err=True)
