"""The command itself: help, wrong usage, errors without tracebacks."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from kitestring.cli import VERBS, run
from kitestring.errors import BackupDamaged, KitestringError
from tests.verbs import called


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kitestring", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_verb_and_imports_none_of_them() -> None:
    probe = (
        "import sys, kitestring.cli as c\n"
        "c.run(c.cli, ['--help'], 'kitestring')\n"
        "heavy = {'pymilvus', 'boto3', 'pyarrow', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert "HEAVY []" in done.stdout
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_imports_no_client_for_it(verb: str) -> None:
    probe = (
        "import sys, kitestring.cli as c\n"
        f"code = c.run(c.cli, ['{verb}', '--help'], 'kitestring')\n"
        "heavy = {'pymilvus', 'boto3', 'sklearn'} & set(sys.modules)\n"
        "print('CODE', code, 'HEAVY', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert "CODE 0 HEAVY []" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["drift", "--nonsense"], "--nonsense"),
        (["drift", "--output", "morse"], "morse"),
    ],
)
def test_wrong_usage_is_64(arguments: list[str], says: str) -> None:
    done = call(*arguments)

    assert (done.returncode, done.stdout) == (64, "")
    assert says in done.stderr
    assert "hint: kitestring" in done.stderr


def test_a_missing_spec_is_named() -> None:
    done = call("drift", "--spec", "/nowhere/spec.yaml")

    assert done.returncode == 1
    assert "/nowhere/spec.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def fails_with(error: BaseException) -> click.Command:
    @click.command()
    def verb() -> None:
        raise error

    return verb


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KitestringError("it broke", hint="mend it"), 1, "error: it broke\n\nhint: mend it\n"),
        (BackupDamaged("an object is gone"), 2, "error: an object is gone\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (ZeroDivisionError("division by zero"), 1, "internal error: ZeroDivisionError"),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fails_with(error), [], "t") == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


def test_no_verb_is_help() -> None:
    done = call()

    assert done.returncode in (0, 64)
    assert "Verbs:" in done.stdout + done.stderr


def test_an_interrupt_ends_the_process_whatever_its_finalizers_wait_for() -> None:
    probe = (
        "import threading, click, kitestring.cli as c\n"
        "class Stuck:\n"
        "    def __del__(self, wait=threading.Event().wait):\n"
        "        wait()\n"
        "stuck = Stuck()\n"
        "@click.command()\n"
        "def verb():\n"
        "    raise KeyboardInterrupt\n"
        "c.leave(c.run(verb, [], 't'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False, timeout=30
    )

    assert (done.returncode, done.stderr.strip()) == (130, "error: interrupted")


@pytest.mark.parametrize(
    "arguments",
    [
        ["local", "up", "--timeout", "nan"],
        ["compact", "--timeout", "inf"],
        ["backup", "prune", "--price-per-gb-month", "nan"],
        ["backup", "create", "--max-requests-per-second", "nan"],
        ["backup", "create", "--max-bytes-per-second", "9" * 400],
        ["ingest", "--collection", "docs", "--wait", "99999999999d", "."],
    ],
)
def test_numbers_that_are_none_are_wrong_usage(arguments: list[str]) -> None:
    done = called(*arguments)

    assert (done.returncode, done.stdout) == (64, "")
    assert "Invalid value" in done.stderr
