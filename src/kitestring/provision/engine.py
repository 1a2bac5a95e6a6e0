"""Asks the Pulumi engine what differs from its stack."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from kitestring.errors import ProvisionError, UsageError
from kitestring.model.infra import InfraSnapshot
from kitestring.provision.pulumi_json import read_pulumi_json

TIMEOUT = 600.0  # seconds


def infra_from_pulumi(file: str | None, stack: str | None, program: str) -> InfraSnapshot:
    """What differs, from a file (`-` for stdin) or by running the engine.

    Args:
        program: directory of the Pulumi program; for `stack`.

    Raises:
        UsageError: both a file and a stack, or neither.
        ProvisionError: no such file, no engine, or the engine failed.
    """
    if (file is None) == (stack is None):
        raise UsageError("name either a file of Pulumi's JSON or a stack")
    if file is not None:
        return read_pulumi_json(_read(file), file)
    return preview(stack or "", Path(program))


def preview(stack: str, program: Path) -> InfraSnapshot:
    """Runs `pulumi preview --refresh --json`: nothing is changed, in the cluster or the state.

    Raises:
        ProvisionError: there is no engine or program, or the engine failed.
    """
    start = time.monotonic()
    engine = shutil.which("pulumi")
    if engine is None:
        raise ProvisionError(
            "there is no `pulumi` on PATH",
            hint="install the Pulumi CLI, or give what it printed by --pulumi-json FILE",
        )
    if not (program / "Pulumi.yaml").is_file():
        raise ProvisionError(
            f"{program} has no Pulumi.yaml",
            hint="name the directory of the Pulumi program by --program",
            subject=str(program),
        )
    command = [
        engine,
        "preview",
        "--refresh",
        "--json",
        "--non-interactive",
        f"--stack={stack}",
        f"--cwd={program}",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ProvisionError(
            f"the Pulumi engine did not end within {TIMEOUT:.0f} s",
            hint=f"run it yourself: {' '.join(command)}",
            subject=stack,
        ) from None
    if not done.stdout.lstrip().startswith("{"):
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = next((line for line in said if line.startswith("error:")), "") or "".join(
            said[-1:]
        )
        raise ProvisionError(
            f"the Pulumi engine failed: {reason.removeprefix('error:').strip()}",
            hint=f"run it yourself: {' '.join(command)}",
            subject=stack,
        )
    return replace(
        read_pulumi_json(done.stdout, f"the stack `{stack}`"), seconds=time.monotonic() - start
    )


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ProvisionError(
            f"{file} can't be read: {error}",
            hint="`pulumi preview --refresh --json --stack NAME > FILE`",
            subject=file,
        ) from None
