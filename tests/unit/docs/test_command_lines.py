"""Every command line that the documentation names can be given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from kitestring.cli import cli
from tests.unit.docs.pages import PAGES, ROOT, code_lines, inline_code

SCRIPTS = {"scripts/drift_detect.py": ["drift"], "scripts/restore_drill.py": ["drill", "run"]}
TARGETS = set(re.findall(r"^([\w -]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def words_of(line: str) -> list[str]:
    """The words of the first command of a line: `$ kitestring drift --only x; echo $?`."""
    parser = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
    parser.commenters = "#"
    parser.whitespace_split = True
    words: list[str] = []
    for word in parser:
        if set(word) <= set(";|&<>()"):
            break
        words.append(word)
    return words


def parse(words: list[str]) -> None:
    """Follows the words through the verbs, and has the last one take the options."""
    command: click.Command = cli
    context = click.Context(cli, info_name="kitestring", **cli.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{context.command_path} has no {words[0]!r}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    parser = command.make_parser(context)
    if isinstance(command, click.Group):  # of a group, only its own options can follow
        words = [word for word in words if word.startswith("-")]
    try:
        parser.parse_args(list(words))
    except click.BadOptionUsage as error:
        if words[-1] != error.option_name:  # `kitestring drift --write-baseline` in a sentence
            raise


def commands(page: Path) -> list[list[str]]:
    found = []
    for line in (*code_lines(page), *inline_code(page)):
        if re.match(r"(\$ )?(kitestring|make|(python )?scripts/\S+\.py)\b", line):
            try:
                words = words_of(line)
            except ValueError as error:  # a quotation mark that is not closed
                pytest.fail(f"{line}: {error}")
            found.append(words[1:] if words[0] == "python" else words)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_command_lines(page: Path) -> None:
    for words in commands(page):
        print(*words)
        if words[0] == "make":
            named = [word for word in words[1:] if "=" not in word]
            assert set(named) <= {name for names in TARGETS for name in names.split()}
        else:
            parse([*SCRIPTS.get(words[0], []), *words[1:]])
