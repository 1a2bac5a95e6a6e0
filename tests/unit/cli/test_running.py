"""The command as a process: streams that are closed, full or gone, and JSON of errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kitestring.cli import run
from kitestring.errors import BackupDamaged, SpecInvalid
from tests.verbs import called

KITESTRING = f"{sys.executable} -m kitestring"


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )


def verb_that_writes(*, flush: bool) -> str:
    """A program whose verb writes without looking whether that went well, and ends with 0."""
    return (
        "import sys, click, kitestring.cli as c\n"
        "@click.command()\n"
        "def verb():\n"
        "    sys.stdout.write('x')\n"
        f"    {'sys.stdout.flush()' if flush else ''}\n"
        "    return 0\n"
        "c.launch(verb, 't')\n"
    )


@pytest.mark.parametrize("flush", [False, True])
def test_what_a_full_device_lost_is_an_error(flush: bool, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(verb_that_writes(flush=flush))
    done = shell(f"{sys.executable} {program} >/dev/full")

    assert done.returncode == 1
    assert done.stderr == "error: stdout can't be written: No space left on device\n"


def test_a_full_log_takes_no_exit_code_away(tmp_path: Path) -> None:
    (tmp_path / "kitestring.yaml").write_text("cluster: [")
    done = shell(f"cd {tmp_path} && {KITESTRING} spec show 2>/dev/full")

    assert (done.returncode, done.stdout) == (1, "")


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    done = shell(f"{KITESTRING} spec reference | head -1; echo ${{PIPESTATUS[0]}}")

    assert done.stdout.splitlines()[0] == "# The spec"
    assert done.stdout.splitlines()[1] in ("0", "1")  # the whole of it may be in the pipe already
    assert done.stderr == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    done = shell(f"{KITESTRING} checks list {closed}")

    assert (done.returncode, done.stderr) == (0, "")


def test_letters_that_stdout_does_not_have_are_escaped(tmp_path: Path) -> None:
    spec = tmp_path / "sp→c.yaml"
    done = shell(f"{KITESTRING} spec check '{spec}'", PYTHONIOENCODING="latin-1")

    assert done.returncode == 1
    assert "sp\\u2192c.yaml" in done.stdout


def failing(error: BaseException) -> click.Command:
    @click.command()
    @click.option("-o", "--output")
    @click.option("--out")
    def verb(output: str, out: str) -> None:
        raise error

    return verb


@pytest.mark.parametrize("words", [["-o", "json"], ["--output=json"], ["-ojson"]])
def test_an_error_is_a_document_for_who_asked_for_json(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(failing(BackupDamaged("an object is gone", hint="look", subject="b1")), words, "t")
    printed = capsys.readouterr()

    assert code == 2
    assert json.loads(printed.out) == {
        "schema_version": 1,
        "error": {
            "code": "backup.damaged",
            "message": "an object is gone",
            "hint": "look",
            "subject": "b1",
            "exit_code": 2,
        },
    }
    assert printed.err == "error: an object is gone\n\nhint: look\n"


@pytest.mark.parametrize("words", [["-o", "text"], [], ["-o", "json", "--out", "f"]])
def test_no_other_stdout_gets_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(failing(BackupDamaged("gone")), words, "t") == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), "interrupted"), (ZeroDivisionError(), "internal")],
)
def test_so_is_an_interrupt_and_a_fault_of_ours(
    error: BaseException, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(failing(error), ["-o", "json"], "t")

    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


def test_each_error_of_a_spec_is_in_the_document(tmp_path: Path) -> None:
    spec = tmp_path / "kitestring.yaml"
    spec.write_text("cluster: {name: a}\ncolections: []\n")
    done = called("status", "-o", "json", "--spec", spec)
    error = json.loads(done.stdout)["error"]

    assert (done.returncode, error["code"]) == (1, SpecInvalid.code)
    assert (2, "colections") in [(p["line"], p["path"]) for p in error["problems"]]


def test_wrong_usage_is_a_document_too() -> None:
    done = called("drift", "-o", "json", "--nonsense")

    assert done.returncode == 64
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_a_document_that_stands_is_not_followed_by_another(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import click, kitestring.cli as c\n"
        "from kitestring.errors import StoreError\n"
        "@click.command()\n"
        "@click.option('-o')\n"
        "def verb(o):\n"
        "    click.echo('{}')\n"
        "    raise StoreError('gone')\n"
        "c.launch(verb, 't')\n"
    )
    done = shell(f"{sys.executable} {program} -o json")

    assert (done.returncode, done.stdout, done.stderr) == (1, "{}\n", "error: gone\n")
