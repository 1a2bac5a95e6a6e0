"""Schedules that contradict each other or an objective, with their places in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kitestring.errors import SpecInvalid
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec

SPEC = """\
version: 1
cluster: {{name: unit}}
connection: {{uri: "http://127.0.0.1:19530"}}
state: state
backup: {{method: logical, store: {{type: local, path: backups}}}}
objectives: {{rpo: {rpo}, rto: 10m, drill_every: {drill_every}}}
day2: {{{day2}}}
"""


def loaded(folder: Path, rpo: str, day2: str, drill_every: str = "7d") -> LoadedSpec:
    file = folder / "cluster.yaml"
    file.write_text(SPEC.format(rpo=rpo, day2=day2, drill_every=drill_every))
    return load(file)


@pytest.mark.parametrize(
    ("rpo", "day2", "drill_every", "told"),
    [
        ("6h", 'backup: {at: "01:30"}', "7d", ":6:14: objectives.rpo: a backup every day"),
        ("6h", "", "7d", "`day2.backup.every`, in less than 6h"),
        ("1h", "backup: {every: 2h}", "7d", ":6:14: objectives.rpo: a backup every 2h"),
        (
            "24h",
            'backup: {at: "01:30", every: 1h}',
            "7d",
            ":7:30: day2.backup.every: `at` (once a day) and `every` are both there",
        ),
        (
            "24h",
            "drill: {weekday: sunday}",
            "24h",
            "objectives.drill_every: a drill on one weekday can't keep it",
        ),
        (
            "24h",
            "drill: {target: kubernetes}",
            "7d",
            ":7:16: day2.drill.target: nothing says what the drill's server",
        ),
        (
            "24h",
            "drill: {target: embedded, target_spec: spare.yaml}",
            "7d",
            "`target` and `target_spec` are two targets",
        ),
    ],
)
def test_what_can_not_be_kept(
    tmp_path: Path, rpo: str, day2: str, drill_every: str, told: str
) -> None:
    with pytest.raises(SpecInvalid) as error:
        loaded(tmp_path, rpo, day2, drill_every)
    assert told in error.value.message
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    ("rpo", "day2"),
    [("24h", ""), ("24h", 'backup: {at: "02:00"}'), ("2h", "backup: {every: 1h}")],
)
def test_what_can(tmp_path: Path, rpo: str, day2: str) -> None:
    found = loaded(tmp_path, rpo, day2).spec.day2.backup
    assert (found.at is None) == (found.every is not None)


def test_what_is_resolved_can_be_read_again(tmp_path: Path) -> None:
    from kitestring.spec.show import show_yaml

    first = loaded(tmp_path, "2h", "backup: {every: 1h, verify: sample}, drill: {weekday: monday}")
    again = tmp_path / "again.yaml"
    again.write_text(show_yaml(first))
    assert load(again).spec == first.spec


@pytest.mark.parametrize("task", ["backup", "drift"])
def test_no_schedule_is_shorter_than_a_minute(
    task: str, good: str, errors: Callable[..., list[str]]
) -> None:
    (error,) = errors(f"{good}day2: {{{task}: {{every: 1s}}}}\n")
    assert (
        f'day2.{task}.every: no schedule is shorter than 1m (got "1s"); allowed: from 1m' in error
    )
