"""A look is kept for as long as it is true."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from kitestring.enforce import observation
from kitestring.enforce.observation import forget, keep_answers, recall
from kitestring.errors import EnforceError
from kitestring.spec.load import load

ANSWERS = {"reconcile": {"changed": False, "actions": []}}


@pytest.fixture
def loaded(tmp_path: Path):
    file = tmp_path / "cluster.yaml"
    file.write_text(
        'version: 1\ncluster: {name: test}\nstate: state\nconnection: {uri: "http://127.0.0.1:1"}\n'
    )
    return load(file)


def test_it_answers_for_its_tasks_and_its_spec(loaded, tmp_path):
    file = keep_answers(loaded, ANSWERS)
    assert recall(file, loaded.file, "reconcile") == ANSWERS["reconcile"]
    assert recall(file, loaded.file, "compaction") is None
    other = tmp_path / "other.yaml"
    other.write_text(loaded.file.read_text())
    assert recall(file, other, "reconcile") is None
    assert recall(tmp_path / "nothing", loaded.file, "reconcile") is None
    file.write_text("[]")
    assert recall(file, loaded.file, "reconcile") is None


def test_a_spec_that_was_edited_ends_it(loaded):
    file = keep_answers(loaded, ANSWERS)
    loaded.file.write_text(loaded.file.read_text() + "# edited\n")
    assert recall(file, loaded.file, "reconcile") is None


def test_time_ends_it(loaded, monkeypatch):
    file = keep_answers(loaded, ANSWERS)
    now = time.time()
    monkeypatch.setattr(observation.time, "time", lambda: now + observation.FRESH + 1)
    assert recall(file, loaded.file, "reconcile") is None
    monkeypatch.setattr(observation.time, "time", lambda: now - 3600)  # a clock that was set back
    assert recall(file, loaded.file, "reconcile") is None


def test_a_change_ends_it_and_so_does_another_look(loaded):
    first = keep_answers(loaded, ANSWERS)
    second = keep_answers(loaded, {})
    assert recall(first, loaded.file, "reconcile") is None
    assert second.exists()
    forget(loaded)
    assert list(loaded.state_dir.iterdir()) == []


def test_a_state_that_is_a_file_is_said(loaded):
    loaded.state_dir.write_text("")
    with pytest.raises(EnforceError, match="can't be written"):
        keep_answers(loaded, ANSWERS)


def test_reading_it_imports_nothing_that_takes_time():
    """Every module of a play does."""
    found = subprocess.run(
        [sys.executable, "-c",
         "import sys, kitestring.enforce.observation; "
         "print(*{'pydantic', 'pymilvus', 'grpc', 'yaml'} & set(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == []
