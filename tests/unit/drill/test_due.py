"""When a drill is due."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kitestring.drill.due import drill_due, ensure_drill
from kitestring.errors import DrillRefused, UsageError
from kitestring.model.drill import DrillSummary
from kitestring.spec.load import load

SPEC = """\
version: 1
cluster: {{name: {name}}}
connection: {{uri: "http://127.0.0.1:1"}}
state: state
storage: {{type: s3, bucket: segments, access_key: {{env: A}}, secret_key: {{env: B}}}}
deployment: {{version: "2.5.16", mode: standalone}}
day2: {{drill: {drill}}}
"""
DAY = 86400.0
NOW = 1_800_000_000.0


def drill(name: str, days: float, passed: bool = True) -> DrillSummary:
    return DrillSummary(name, "b1", int((NOW - days * DAY) * 1000), passed, 1.0, 1.0)


@pytest.mark.parametrize(
    ("drills", "due", "reason"),
    [
        ([], True, "no drill has passed yet"),
        ([drill("d1", 6.9)], False, "not older than 1w"),
        ([drill("d1", 7.1)], True, "is older than 1w"),
        ([drill("d1", 2), drill("d2", 1, passed=False)], True, "d2, did not pass"),
        ([drill("d1", 2, passed=False), drill("d2", 1)], False, "not older"),
        ([drill("d1", -365)], True, "no drill has passed yet"),
        ([drill("d1", -365), drill("d2", 1)], False, "not older"),
    ],
)
def test_by_the_objective(spec_from, drills, due, reason):
    found = drill_due(spec_from(), drills, NOW)
    assert found.due is due
    assert reason in found.reason


def test_nothing_says_how_often(spec_from):
    loaded = spec_from(("objectives: {rpo: 24h, rto: 10m, drill_every: 7d}\n", ""))
    with pytest.raises(UsageError, match="how often"):
        drill_due(loaded, [], NOW)
    assert drill_due(loaded, [drill("d1", 1)], NOW, max_age=3600.0).due


def test_a_passed_sample_does_not_count_as_a_drill(spec_from):
    sample = replace(drill("b", days=1), sampled=0.1)
    loaded = spec_from()
    found = drill_due(loaded, [sample], NOW, max_age=7 * DAY)
    assert found.reason == "no drill has passed yet"
    good = drill("a", days=2)
    assert not drill_due(loaded, [sample, good], NOW, max_age=7 * DAY).due


@pytest.mark.parametrize(
    ("named", "asked", "kubernetes", "other"),
    [
        ("{}", None, False, None),
        ("{target: kubernetes}", None, True, None),
        ("{target: kubernetes}", "embedded", False, None),
        ("{target_spec: spare.yaml}", None, False, "spare"),
        ("{target_spec: spare.yaml}", "kubernetes", True, None),
    ],
)
def test_a_due_drill_goes_where_the_spec_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    named: str,
    asked: str | None,
    kubernetes: bool,
    other: str | None,
) -> None:
    (tmp_path / "spare.yaml").write_text(SPEC.format(name="spare", drill="{}"))
    (tmp_path / "one.yaml").write_text(SPEC.format(name="one", drill=named))
    told: dict[str, Any] = {}
    monkeypatch.setattr("kitestring.drill.run.run_drill", lambda _, **options: told.update(options))
    ensure_drill(load(tmp_path / "one.yaml"), max_age=60, target=asked)
    assert told["on_kubernetes"] == kubernetes
    assert (told["target"] and told["target"].spec.cluster.name) == other


def test_a_dry_run_refuses_what_a_drill_would_refuse(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    described = SPEC.format(name="dry", drill="{}")
    file.write_text(described)
    assert ensure_drill(load(file), max_age=60, target="kubernetes", dry_run=True)[0].due
    file.write_text("".join(x for x in described.splitlines(True) if "deployment" not in x))
    assert ensure_drill(load(file), max_age=60, dry_run=True)[0].due
    with pytest.raises(DrillRefused, match="has no `deployment`"):
        ensure_drill(load(file), max_age=60, target="kubernetes", dry_run=True)
