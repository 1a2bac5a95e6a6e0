"""The window of compactions: what is one, and when it is now."""

from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.errors import SpecInvalid
from kitestring.spec.load import load
from kitestring.spec.window import within

SPEC = """\
version: 1
cluster: {{name: unit}}
connection: {{uri: "http://127.0.0.1:19530"}}
day2:
  compaction: {{{policy}}}
state: state
"""


@pytest.mark.parametrize(
    ("window", "now", "inside"),
    [
        ("02:00-05:00", "02:00", True),
        ("02:00-05:00", "04:59", True),
        ("02:00-05:00", "05:00", False),
        ("02:00-05:00", "01:59", False),
        ("22:00 - 04:00", "23:30", True),
        ("22:00-04:00", "00:00", True),
        ("22:00-04:00", "04:00", False),
        ("22:00-04:00", "12:00", False),
    ],
)
def test_within(window: str, now: str, inside: bool) -> None:
    assert within(window, now) is inside


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ('window: "2-5"', ":5:16: day2.compaction.window: not a window: write two times"),
        ('window: "02:00"', "not a window"),
        ('window: "02:00-24:00"', "not a window"),
        ("window: 2", "day2.compaction.window"),
        ('window: "02:00-02:00"', "a window that ends when it begins"),
        ('window: "03:00-05:00"', "the schedule looks at 02:00 (`day2.compaction.at`)"),
        ('at: "05:00", window: "02:00-05:00"', ":5:29: day2.compaction.window: the schedule"),
        ("headroom: 0.5", "day2.compaction.headroom"),
        ("deadline: 0s", "day2.compaction.deadline"),
        ('volume: ""', "day2.compaction.volume"),
    ],
)
def test_bad_values_are_told_with_their_place(tmp_path: Path, policy: str, told: str) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(SPEC.format(policy=policy))
    with pytest.raises(SpecInvalid) as error:
        load(file)
    assert told in error.value.message
    assert f"{file}:5:" in error.value.message


def test_good_ones(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(SPEC.format(policy='at: "23:30", window: "23:00-01:00", deadline: 2h'))
    policy = load(file).spec.day2.compaction
    assert (policy.window, policy.deadline) == ("23:00-01:00", 7200.0)
