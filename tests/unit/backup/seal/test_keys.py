"""`kitestring backup keys`: new keys are never seen by others and never overwrite one."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kitestring.backup.seal.keys import describe, new_pair
from kitestring.cli import cli, run
from kitestring.errors import UsageError
from kitestring.spec.loaded import LoadedSpec


def keys(*arguments: str) -> int:
    return run(cli, ["backup", "keys", *arguments], "kitestring")


@pytest.mark.parametrize("kind", ["signing", "age"])
def test_a_pair_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    folder = tmp_path / "keys"
    assert keys("new", "--out", str(folder), "--kind", kind, "--output", "json") == 0
    made = json.loads(capsys.readouterr().out)
    private, public = Path(made["private"]), Path(made["public"])
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes()
    assert keys("new", "--out", str(folder), "--kind", kind) == 64
    assert "is there already; nothing was written" in capsys.readouterr().err
    assert private.read_bytes() == before
    public.rename(folder / "elsewhere")
    assert keys("new", "--out", str(folder), "--kind", kind) == 64
    assert not public.exists()


def test_the_text_shows_the_spec_and_not_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys("new", "--out", str(tmp_path), "--kind", "age") == 0
    out = capsys.readouterr().out
    assert (tmp_path / "age.pub").read_text().strip() in out
    assert "AGE-SECRET-KEY" not in out
    assert "encryption:" in out


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file"):
        new_pair(tmp_path / "file" / "keys", "signing")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "signing.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="there already"):
        new_pair(tmp_path, "signing")
    assert not (tmp_path / "nowhere").exists()


def test_the_keys_of_a_spec_are_shown(
    spec_with: Callable[[str], LoadedSpec],
    age_keys: Path,
    signing_keys: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipient = (age_keys / "age.pub").read_text().strip()
    loaded = spec_with(
        "signing: {key: {file: keys/signing.key}, trusted: [keys/signing.pub]}\n"
        f"encryption: {{type: age, recipients: [{recipient}], identity: {{file: keys/age.key}}}}"
    )
    assert keys("show", "--spec", str(loaded.file)) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == ["sign", "trust", "seal", "open"]
    assert recipient in out
    assert "SECRET" not in out


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("signing: {trusted: [nothing.pub]}", "can't be read"),
        ("signing: {trusted: [keys/signing.key]}", "is a private key"),
        ("signing: {key: {file: other/signing.key}, trusted: [keys/signing.pub]}", "not among"),
        ("signing: {key: {env: NOT_SET}, trusted: [keys/signing.pub]}", "NOT_SET"),
        (
            "encryption: {type: age, recipients: [{other}], identity: {file: nothing}}",
            "can't be read",
        ),
    ],
)
def test_a_key_of_no_use_is_exit_code_2(
    spec_with: Callable[[str], LoadedSpec],
    signing_keys: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    lines: str,
    said: str,
) -> None:
    new_pair(tmp_path / "other", "signing")
    recipient = new_pair(tmp_path / "other", "age").name
    loaded = spec_with(lines.replace("{other}", recipient))
    assert keys("show", "--spec", str(loaded.file)) == 2
    assert said in capsys.readouterr().out


def test_an_old_identity_is_of_use(
    spec_with: Callable[[str], LoadedSpec], age_keys: Path, tmp_path: Path
) -> None:
    recipient = new_pair(tmp_path / "other", "age").name
    loaded = spec_with(
        f"encryption: {{type: age, recipients: [{recipient}], identity: {{file: keys/age.key}}}}"
    )
    (line,) = [line for line in describe(loaded) if line.use == "open"]
    assert line.usable
    assert "older" in line.remark


def test_a_spec_without_keys_says_so(
    spec_with: Callable[[str], LoadedSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys("show", "--spec", str(spec_with("").file)) == 0
    assert "neither sealed nor signed" in capsys.readouterr().out


def test_without_the_extra_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kitestring.backup.seal.find_spec", lambda _name: None)
    assert keys("new", "--out", str(tmp_path)) == 1
    assert "kitestring[seal]" in capsys.readouterr().err
