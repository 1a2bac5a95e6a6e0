"""`kitestring spec`: exit codes, and what goes to stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kitestring.cli import cli, run

ROOT = Path(__file__).parents[3]
LOCAL = str(ROOT / "infra" / "clusters" / "local.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.yaml"
    file.write_text("version: 2\nstat: x\n")
    return file


def test_valid_specs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["spec", "check", LOCAL], "kitestring") == 0
    out = capsys.readouterr()
    assert out.out == f"{LOCAL}: ok (cluster local, 1 collection, 2 models)\n"
    assert out.err == ""


def test_every_file_is_reported(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    missing = bad.with_name("missing.yaml")
    assert run(cli, ["spec", "check", str(bad), LOCAL, str(missing)], "kitestring") == 1
    out = capsys.readouterr()
    lines = out.out.splitlines()
    assert f"{bad}:2:1: stat: unknown key" in out.out
    assert any(line.startswith(f"{LOCAL}: ok") for line in lines)
    assert lines[-1] == f"there is no spec at {missing}"
    assert out.err == "error: 6 errors in 2 specs\n"


def test_json(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    assert run(cli, ["spec", "check", str(bad), LOCAL, "-o", "json"], "kitestring") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["schema_version"] == 1
    assert [s["valid"] for s in report["specs"]] == [False, True]
    error = next(e for e in report["specs"][0]["errors"] if e["path"] == "stat")
    assert (error["line"], error["column"], error["suggestion"]) == (2, 1, "state")


def test_the_spec_option_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["spec", "show", "--spec", LOCAL], "kitestring") == 0
    assert "name: docs_v1  # file:" in capsys.readouterr().out


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["spec", "show", LOCAL, "-o", "json"], "kitestring") == 0
    assert json.loads(capsys.readouterr().out)["sources"]["version"] == "file"


def test_show_of_a_bad_spec(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    assert run(cli, ["spec", "show", str(bad)], "kitestring") == 1
    out = capsys.readouterr()
    assert out.out == ""
    assert "has 5 errors" in out.err
    assert "Traceback" not in out.err


def test_schema_and_reference_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["spec", "schema"], "kitestring") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "A Kitestring spec"
    assert run(cli, ["spec", "reference"], "kitestring") == 0
    assert capsys.readouterr().out.startswith("# The spec\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--uri", "http://root:pw@h:1"], 64, "the URI must not hold a user and password"),
        (["--uri", "h:1"], 64, "`h:1` is no address of a server"),
        (["--uri", "http://h:1", "--name", "Old!"], 1, "cluster.name: not of the form"),
        ([], 64, "Missing option '--uri'"),
    ],
)
def test_adopt_refuses_before_it_connects(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert run(cli, ["spec", "adopt", *arguments], "kitestring") == code
    out = capsys.readouterr()
    assert message in out.err
    assert out.out == ""


def test_adopt_keeps_a_file_that_is_there(capsys: pytest.CaptureFixture[str], bad: Path) -> None:
    before = bad.read_text()
    arguments = ["spec", "adopt", "--uri", "http://127.0.0.1:1", "--out", str(bad)]
    assert run(cli, arguments, "kitestring") == 64
    assert f"{bad} is there already" in capsys.readouterr().err
    assert bad.read_text() == before


def test_adopt_with_a_token_that_is_not_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    arguments = ["spec", "adopt", "--uri", "http://127.0.0.1:1", "--token-env", "NO_SUCH_TOKEN"]
    assert run(cli, arguments, "kitestring") == 1
    assert "`NO_SUCH_TOKEN` is not set" in capsys.readouterr().err
