"""The reference page of the verbs."""

from __future__ import annotations

from kitestring.cli import VERBS
from kitestring.cli.reference import commands_page


def test_every_verb_is_there_with_its_options() -> None:
    page = commands_page()
    for verb in VERBS:
        assert f"\n## kitestring {verb}\n" in page
    create = page.split("\n## kitestring backup create\n")[1].split("\n## ")[0]
    assert "Usage: kitestring backup create [OPTIONS]" in create
    assert "--max-bytes-per-second" in create
    assert "-h, --help" in create
