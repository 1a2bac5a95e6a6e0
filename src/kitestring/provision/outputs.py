"""What a Pulumi stack has exported, as `pulumi stack output --json` prints it."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.errors import ProvisionError, UsageError

TIMEOUT = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class StackSource:
    """Where a stack's outputs come from: a stack's name, a file, or a command that prints them.

    `program` is the folder of the Pulumi program: there the command runs, and paths in the outputs
    start. `spec` names the spec of a stack that does not say itself which one it was made from.
    """

    program: Path
    stack: str = ""
    outputs: str = ""
    command: tuple[str, ...] = ()
    spec: str = ""

    def __str__(self) -> str:
        if self.stack:
            return f"the stack `{self.stack}`"
        return self.outputs or f"`{shlex.join(self.command)}`"


def stack_outputs(source: StackSource) -> dict[str, Any]:
    """The outputs by their names; a secret's value is the text `[secret]`.

    Raises:
        UsageError: the source names none, or more than one, of stack, file and command.
        ProvisionError: no such file or command, the command failed, or what it printed is no
            JSON object.
    """
    if sum(map(bool, (source.stack, source.outputs, source.command))) != 1:
        raise UsageError(
            f"a stack is named by one of `stack`, `outputs` and `command`, and not {source}",
            hint="stack: prod",
        )
    text = _read(source) if source.outputs else _run(source)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ProvisionError(
            f"{source} gives no JSON: {error}",
            hint="`pulumi stack output --json` prints what is wanted",
            subject=str(source),
        ) from None
    if not isinstance(found, dict):
        raise ProvisionError(
            f"{source} gives JSON that is no object of outputs",
            hint="`pulumi stack output --json` prints what is wanted",
            subject=str(source),
        )
    return found


def _read(source: StackSource) -> str:
    try:
        return (source.program / source.outputs).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ProvisionError(
            f"{source.program / source.outputs} can't be read: {error}",
            hint="`pulumi stack output --json --stack NAME > FILE`",
            subject=str(source),
        ) from None


def _run(source: StackSource) -> str:
    command: Sequence[str] = source.command or (
        "pulumi", "stack", "output", "--json", "--non-interactive", f"--stack={source.stack}"
    )  # fmt: skip
    again = f"run it yourself in {source.program}: {shlex.join(command)}"
    try:
        done = subprocess.run(
            command,
            cwd=source.program,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProvisionError(
            f"{source}: the outputs did not come within {TIMEOUT:.0f} s",
            hint=again,
            subject=str(source),
        ) from None
    except OSError as error:
        raise ProvisionError(
            f"{source}: {error.filename}: {error.strerror}",
            hint="install the Pulumi CLI, or name a file that `pulumi stack output --json` wrote "
            "by `outputs`",
            subject=str(source),
        ) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ProvisionError(
            f"{source}: {shlex.join(command)} ended with {done.returncode}"
            + (f": {said[-1]}" if said else ""),
            hint=again,
            subject=str(source),
        )
    return done.stdout
