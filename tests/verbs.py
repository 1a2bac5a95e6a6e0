"""The `kitestring` command: within the test's process, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from kitestring.cli import cli, run


@dataclass(frozen=True)
class Done:
    """How a run ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def kitestring(*arguments: object) -> int:
    """Runs it and returns its exit code; what it prints, `capsys` has."""
    return run(cli, [str(argument) for argument in arguments], "kitestring")


def called(*arguments: object, cwd: Path | None = None) -> Done:
    """Runs it; saves the seconds that a process takes to import everything."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd or Path.cwd()):
        code = kitestring(*arguments)
    return Done(code, out.getvalue(), err.getvalue())


def started(*arguments: object) -> subprocess.Popen[str]:
    """Starts it as a process, which can be watched and killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "kitestring", *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
