"""Every verb, and what is wrong with the spec that it is given."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from kitestring.cli.reference import every_verb
from tests.verbs import called

MANY = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(f'*{before}' for _ in range(10))}]\n"
    for before, name in ("ab", "bc", "cd", "de", "ef", "fg", "gh", "hi")
)
FAULTS: dict[str, bytes] = {
    "empty": b"",
    "comment only": b"# nothing\n",
    "binary": bytes(range(256)),
    "not utf-8": "cluster: {name: ä}".encode("latin-1"),
    "utf-16": "cluster: {name: a}".encode("utf-16"),
    "tabs": b"cluster:\n\tname: a\n",
    "twice": b"cluster: {name: a}\ncluster: {name: b}\n",
    "a list": b"- cluster\n",
    "a word": b"cluster\n",
    "two documents": b"a: 1\n---\nb: 2\n",
    "a merge key": b"a: &a {b: 1}\nc: {<<: *a}\n",
    "an anchor of itself": b"a: &a [*a]\n",
    "aliases of aliases": MANY.encode(),
    "deep": b"a: " + b"[" * 100_000,
    "a tag": b"a: !!python/object/apply:os.system [true]\n",
    "a huge number": b"version: " + b"9" * 5000 + b"\n",
    "no number": b"version: .nan\n",
}


VERBS = {
    context.command_path.removeprefix("kitestring "): context.command
    for context in every_verb()
    if any(parameter.name == "spec_file" for parameter in context.command.params)
}


def words(verb: str, folder: Path) -> list[str]:
    """The verb, and what else it can't do without."""
    more: list[str] = []
    for parameter in VERBS[verb].params:
        if not parameter.required:
            continue
        value = str(folder) if isinstance(parameter.type, click.Path) else "docs"
        if isinstance(parameter.type, click.Choice):
            value = str(parameter.type.choices[0])
        more += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    return [*verb.split(), *more]


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sp écs")
    for name, content in FAULTS.items():
        (folder / f"{name}.yaml").write_bytes(content)
    (folder / "folder.yaml").mkdir()
    (folder / "nothing.yaml").symlink_to("nowhere")
    (folder / "itself.yaml").symlink_to("itself.yaml")
    return folder


@pytest.mark.parametrize("name", [*FAULTS, "folder", "nothing", "itself"])
def test_a_spec_that_is_none_is_said_so(name: str, specs: Path) -> None:
    spec = specs / f"{name}.yaml"
    done = called("status", "--spec", spec)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert str(spec) in done.stderr
    assert "internal error" not in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_it(verb: str, specs: Path) -> None:
    done = called(*words(verb, specs), "--spec", specs / "tabs.yaml")

    assert done.returncode == 1
    assert f"{specs / 'tabs.yaml'}:2:1: this is no YAML: a tab" in done.stdout + done.stderr
    assert "error: " in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_asked_for_as_json_is_json(verb: str, specs: Path) -> None:
    arguments = [*words(verb, specs), "--spec", str(specs / "tabs.yaml"), "-o", "json"]
    done = called(*arguments)
    facts = json.loads(done.stdout)

    assert facts["schema_version"] >= 1
    if "error" in facts:
        assert facts["error"]["exit_code"] == done.returncode != 0
