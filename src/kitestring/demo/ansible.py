"""Runs the checkout's playbooks the way an operator does, and reads what they recap."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kitestring.demo.story import DemoFailed

_RECAP = re.compile(r"ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)")


@dataclass(frozen=True, slots=True)
class PlayResult:
    exit_code: int
    changed: int
    failed: int
    output: str

    def task_lines(self, mark: str) -> list[str]:
        """Names of the tasks whose result starts with `mark`, such as `changed:`."""
        found, task = [], ""
        for line in self.output.splitlines():
            if line.startswith("TASK ["):
                task = line[6 : line.rindex("]")]
            elif line.startswith(mark):
                found.append(task)
        return found


def play(
    root: Path, playbook: str, spec: Path, *, log: Path, extra: Sequence[str] = ()
) -> PlayResult:
    """Runs `ansible-playbook -i inventories/demo playbooks/<playbook>` from the checkout.

    Raises:
        DemoFailed: ansible-playbook is not installed, or printed no recap.
    """
    command = Path(sys.executable).with_name("ansible-playbook")
    if not command.is_file():
        raise DemoFailed(
            "ansible-playbook is not installed beside this Python",
            hint="run `make demo`, or pip install 'kitestring[ansible]'",
        )
    done = subprocess.run(
        [
            str(command),
            "-i",
            "inventories/demo",
            f"playbooks/{playbook}",
            "-e",
            f"kitestring_spec={spec}",
            *extra,
        ],
        cwd=root,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    with log.open("a") as file:
        file.write(done.stdout + done.stderr)
    recap = _RECAP.search(done.stdout)
    if recap is None:
        raise DemoFailed(
            f"ansible-playbook {playbook} gave no recap: {(done.stderr or done.stdout)[-400:]}",
            hint=f"the whole output is in {log}",
        )
    _, changed, unreachable, failed = (int(n) for n in recap.groups())
    return PlayResult(done.returncode, changed, failed + unreachable, done.stdout)
