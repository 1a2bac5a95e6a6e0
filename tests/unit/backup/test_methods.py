"""A method is trusted for a server version once a drill of it has passed there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from kitestring.backup.drill_history import new_drill_id, open_history
from kitestring.backup.methods import choose, evidence, make_backup, plain_version
from kitestring.cli.backup_methods import methods
from kitestring.errors import UsageError
from kitestring.model.drill import DrillRecord
from kitestring.spec.loaded import LoadedSpec

RECORD = DrillRecord(
    id="", backup="b", cluster="unit", server_version="v2.3.5", started_at=1000, finished_at=2000,
    boundary=500, rpo_seconds=1.0, rto_seconds=1.0, phases=(), collections=(), objectives=(),
    passed=True,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("v2.3.5", "2.3.5"),
        ("2.6.1-dev+abc", "2.6.1"),
        ("2.5.10.1", "2.5.10"),
        ("milvus_lite-3.2.2", "milvus_lite-3.2.2"),
    ],
)
def test_versions(text: str, plain: str) -> None:
    assert plain_version(text) == plain


def test_the_table_counts_by_version_and_method() -> None:
    records = [
        RECORD,
        replace(RECORD, passed=False, started_at=3000),
        replace(RECORD, sampled=0.1, started_at=2000),
        replace(RECORD, server_version="2.10.0", method="logical", passed=False),
    ]
    newest, old = evidence(records)
    assert (newest.version, newest.method, newest.proven) == ("2.10.0", "logical", False)
    assert (old.passed, old.failed, old.sampled) == (2, 1, 1)
    assert (old.newest, old.newest_passed, old.proven) == (3000, 2000, True)


@pytest.mark.parametrize(
    ("records", "method"),
    [
        ([], "logical"),
        ([RECORD], "physical"),
        ([replace(RECORD, passed=False)], "logical"),
        ([replace(RECORD, server_version="2.3.4")], "logical"),  # another patch is another server
        ([replace(RECORD, method="logical")], "logical"),
        ([replace(RECORD, sampled=0.1)], "logical"),  # a sample is not the whole
    ],
)
def test_auto_is_physical_only_where_a_drill_has_passed(
    records: list[DrillRecord], method: str
) -> None:
    assert choose("auto", "v2.3.5", records).method == method
    assert choose("physical", "v2.3.5", records).method == "physical"


def test_a_backup_is_made_by_the_proven_method(
    server: Any, loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kitestring.backup.plan._TICK", 0.0)
    lines: list[str] = []
    assert make_backup(loaded, server, on_event=lines.append).method == "logical"
    assert lines[0].startswith("method logical: no drill of a whole physical backup has passed")
    history = open_history(loaded)
    history.write(replace(RECORD, id=new_drill_id(datetime.now(UTC))))
    assert make_backup(loaded, server).method == "physical"
    assert make_backup(loaded, server, where='id == "k001"').method == "logical"
    with pytest.raises(UsageError, match="of the logical method"):
        make_backup(loaded, server, method="physical", full=True)


def test_the_verb_shows_the_table_and_warns_of_records_that_prove_nothing(
    loaded: LoadedSpec,
) -> None:
    run = CliRunner()
    asked = ["--spec", str(loaded.file)]
    empty = run.invoke(methods, asked, standalone_mode=False)
    assert "no method is proven" in empty.output
    history = open_history(loaded)
    path = history.write(replace(RECORD, id=new_drill_id(datetime.now(UTC))))
    shown = run.invoke(methods, [*asked, "-o", "json"], standalone_mode=False)
    (one,) = json.loads(shown.stdout)["methods"]
    assert (one["version"], one["method"], one["proven"]) == ("2.3.5", "physical", True)
    path.write_text("{")
    broken = run.invoke(methods, asked, standalone_mode=False)
    assert broken.return_value == 1
    assert "can't be read" in broken.stderr
