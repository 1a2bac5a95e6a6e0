"""The page of concepts has every word that tells how a thing stands, and every exit code."""

from __future__ import annotations

import re

import pytest

from kitestring import errors
from kitestring.backup import job, watch
from kitestring.errors import KitestringError
from kitestring.model import reembed
from kitestring.model.finding import BASELINE, EXIT_CODES, SUPPRESSED, Severity, Verdict
from tests.unit.docs.pages import ROOT

PAGE = (ROOT / "docs/concepts.md").read_text()
STATES = {value for name, value in vars(reembed).items() if name.isupper() and value is not None}


@pytest.mark.parametrize(
    "words",
    [
        [*Severity, *Verdict, SUPPRESSED, BASELINE],
        [watch.RUNNING, watch.DONE, watch.DIED, watch.NONE, job.FAILED, job.CANCELLED],
        [state for state in STATES if isinstance(state, str)],
    ],
    ids=["findings", "backups", "re-embeddings"],
)
def test_words(words: list[str]) -> None:
    section = PAGE.split("## Words for how things stand")[1].split("\n## ")[0]
    assert [word for word in words if f"`{word}`" not in section] == []


def test_exit_codes() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, KitestringError)}
    assert told == raised | set(EXIT_CODES.values())
