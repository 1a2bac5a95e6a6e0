"""Which backups are kept: literal cases, and what holds for every history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.backup.retention import Decision, decide, overdue
from kitestring.model.backup import BackupSummary
from kitestring.model.drill import DrillSummary
from kitestring.spec.backup import Retention

NOW = datetime(2026, 3, 31, 12, 30, tzinfo=UTC)
HOUR, DAY = 3_600_000, 86_400_000


def ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def backup(when: datetime | int, **changes: object) -> BackupSummary:
    at = when if isinstance(when, int) else ms(when)
    id_ = f"{datetime.fromtimestamp(at / 1000, UTC):%Y%m%dT%H%M%SZ}-{at % 16**6:06x}"
    made = BackupSummary(
        id_, "c", "physical", at, at, "v2.3.5", ("docs",), 1, 10, 1, "", at, "full", at + 1
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def drill(of: BackupSummary, passed: bool = True, **changes: object) -> DrillSummary:
    made = DrillSummary(f"d-{of.id}", of.id, of.boundary + HOUR, passed, 1.0, 1.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def kept(decisions: tuple[Decision, ...]) -> list[str]:
    return [d.id for d in decisions if d.keep]


def rules(decisions: tuple[Decision, ...], of: BackupSummary) -> tuple[str, ...]:
    return next(d.rules for d in decisions if d.id == of.id)


def test_last_keeps_the_newest() -> None:
    made = [backup(NOW - timedelta(hours=n)) for n in range(5)]
    assert kept(decide(made, [], Retention(last=2), ms(NOW))) == [made[0].id, made[1].id]


@pytest.mark.parametrize(
    ("rule", "times", "left"),
    [
        # the newest of each hour, in UTC
        ("hourly", ["31 12:20", "31 12:05", "31 11:59", "31 11:00", "31 09:00"], [0, 2]),
        ("daily", ["31 12:00", "31 00:00", "30 23:59", "30 01:00", "29 10:00"], [0, 2]),
        # 2026-03-30 is a Monday
        ("weekly", ["31 12:00", "30 00:00", "29 23:59", "23 01:00", "22 10:00"], [0, 2]),
        ("monthly", ["31 12:00", "01 00:00", "-1 10:00", "-9 10:00"], [0, 2]),
    ],
)
def test_the_newest_of_each_bucket(rule: str, times: list[str], left: list[int]) -> None:
    first = datetime(2026, 3, 1, tzinfo=UTC)
    made = []
    for text in times:
        day, clock = text.split(" ")
        hour, minute = map(int, clock.split(":"))
        made.append(backup(first + timedelta(days=int(day) - 1, hours=hour, minutes=minute)))
    found = kept(decide(made, [], Retention(**{rule: 2}), ms(NOW)))
    assert found == [made[i].id for i in left]


def test_iso_weeks_cross_the_year() -> None:
    # 2024-12-30 to 2025-01-05 is week 1 of 2025
    made = [backup(datetime(2025, 1, 2, tzinfo=UTC)), backup(datetime(2024, 12, 30, tzinfo=UTC))]
    assert kept(decide(made, [], Retention(weekly=5), ms(NOW))) == [made[0].id]


def test_every_rule_that_keeps_a_backup_is_named() -> None:
    only = backup(NOW)
    found = decide([only], [drill(only)], Retention(last=1, daily=1), ms(NOW))
    assert rules(found, only) == (
        "newest drilled", "newest fully verified", "newest verified", "last", "daily", "minimum",
    )  # fmt: skip


def test_the_newest_drilled_and_verified_are_never_removed() -> None:
    made = [backup(NOW - timedelta(days=n), verified_at=None) for n in range(10)]
    made[6] = backup(NOW - timedelta(days=6))  # verified
    drills = [drill(made[8]), drill(made[9]), drill(made[2], passed=False)]
    found = decide(made, drills, Retention(last=1), ms(NOW))
    assert kept(found) == [made[0].id, made[6].id, made[8].id]
    assert rules(found, made[8]) == ("newest drilled",)
    assert "newest verified" in rules(found, made[6])


def test_a_drill_of_a_sample_does_not_take_the_place_of_a_whole_one() -> None:
    made = [backup(NOW - timedelta(days=n), verified_at=None) for n in range(6)]
    drills = [drill(made[5]), drill(made[4]), drill(made[3], sampled=0.1)]
    found = decide(made, drills, Retention(last=1), ms(NOW))
    assert kept(found) == [made[0].id, made[3].id, made[4].id]


def test_the_minimum_counts_only_the_good_ones() -> None:
    made = [backup(NOW - timedelta(days=n), verified_at=None) for n in range(3)]
    proven = [backup(NOW - timedelta(days=n)) for n in range(5, 9)]
    found = kept(decide([*made, *proven], [], Retention(last=3, minimum=2), ms(NOW)))
    assert found == [*(s.id for s in made), proven[0].id, proven[1].id]


def test_an_unverified_backup_does_not_take_a_verified_ones_place_in_its_bucket() -> None:
    noon, morning = backup(NOW, verified_at=None), backup(NOW - timedelta(hours=4))
    yesterday = backup(NOW - timedelta(days=1))
    found = decide([noon, morning, yesterday], [], Retention(daily=1), ms(NOW))
    assert kept(found) == [morning.id]


def test_a_backup_of_one_collection_does_not_take_the_place_of_a_whole_one() -> None:
    whole = backup(NOW - timedelta(days=1), collections=("docs", "images"))
    single = backup(NOW, collections=("docs",))
    found = decide([single, whole], [], Retention(last=1), ms(NOW))
    assert kept(found) == [single.id, whole.id]
    assert "last of images" in rules(found, whole)
    some = backup(NOW, partial=("docs",))  # only the rows of a filter
    assert kept(decide([some, whole], [], Retention(last=1), ms(NOW))) == [some.id, whole.id]


def test_what_can_not_be_read_is_kept_and_counts_for_nothing() -> None:
    broken = backup(NOW, readable=False, collections=(), boundary=0, verified_at=None)
    good = [backup(NOW - timedelta(days=n)) for n in range(1, 4)]
    found = decide([broken, *good], [], Retention(last=1), ms(NOW))
    assert kept(found) == [broken.id, good[0].id]
    assert rules(found, broken) == ("can't be read",)


def test_a_boundary_in_the_future_counts_for_nothing() -> None:
    wrong, good = backup(NOW + timedelta(days=3)), backup(NOW)
    found = decide([wrong, good], [], Retention(last=1), ms(NOW))
    assert kept(found) == [wrong.id, good.id]
    assert rules(found, wrong) == ("in the future",)


def test_without_retention_everything_is_kept() -> None:
    made = [backup(NOW - timedelta(days=n)) for n in range(3)]
    assert all(d.keep for d in decide(made, [], None, ms(NOW)))


def test_overdue_is_what_a_prune_should_have_removed() -> None:
    made = [backup(NOW - timedelta(days=n)) for n in range(6)]
    keep = Retention(last=1, grace=86400.0)
    # two days ago, a little less: `last: 1` kept the one of that day and none before
    assert overdue(made, [], keep, ms(NOW), 80_000.0) == (made[3].id, made[4].id, made[5].id)
    assert overdue(made, [], Retention(last=6), ms(NOW), 0.0) == ()
    assert overdue(made, [drill(made[5])], keep, ms(NOW), 80_000.0) == (made[3].id, made[4].id)
    assert overdue(made, [], None, ms(NOW), 0.0) == ()


COUNT = st.integers(0, 4)
RETENTION = st.builds(
    Retention,
    last=st.integers(1, 4), hourly=COUNT, daily=COUNT, weekly=COUNT, monthly=COUNT,
    minimum=st.integers(1, 4),
)  # fmt: skip
COLLECTIONS = st.lists(st.sampled_from("abc"), unique=True, max_size=3).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[BackupSummary], list[DrillSummary]]:
    ages = draw(st.lists(st.integers(0, 100 * DAY // 1000), max_size=15, unique=True))
    made = [
        backup(
            ms(NOW) - age * 1000,
            verified_at=draw(st.sampled_from([None, 1])),
            verified_tier=draw(st.sampled_from(["list", "full"])),
            readable=draw(st.sampled_from([True, True, True, False])),
            collections=draw(COLLECTIONS),
            partial=draw(st.sampled_from([(), (), ("a",)])),
        )
        for age in ages
    ]
    drilled = draw(st.lists(st.sampled_from(made), max_size=4)) if made else []
    part = st.sampled_from([None, 0.1])
    return made, [drill(s, draw(st.booleans()), sampled=draw(part)) for s in drilled]


@settings(max_examples=80)
@given(histories(), RETENTION)
def test_what_must_never_go_stays(
    history: tuple[list[BackupSummary], list[DrillSummary]], retention: Retention
) -> None:
    made, drills = history
    found = decide(made, drills, retention, ms(NOW))
    assert sorted(d.id for d in found) == sorted(s.id for s in made)
    assert all(d.keep == bool(d.rules) for d in found)
    stay = set(kept(found))
    newest_first = sorted((s for s in made if s.readable), key=lambda s: -s.boundary)
    proven = {d.backup for d in drills if d.passed and d.sampled is None}
    verified = [s.id for s in newest_first if s.verified_at is not None]
    assert [s.id for s in newest_first if s.id in proven][:1] == [
        s.id for s in newest_first if s.id in proven and s.id in stay
    ][:1]
    assert set(verified[:1]) <= stay
    assert len(stay & set(verified)) >= min(retention.minimum, len(verified))
    assert {s.id for s in made if not s.readable} <= stay
    # every collection that a good backup holds whole can still be restored
    for name in "abc":
        holders = [s for s in newest_first if name in s.collections and name not in s.partial]
        assert {s.id for s in holders[:1]} <= stay


@settings(max_examples=50)
@given(histories(), RETENTION)
def test_removing_changes_no_decision_about_the_rest(
    history: tuple[list[BackupSummary], list[DrillSummary]], retention: Retention
) -> None:
    made, drills = history
    found = decide(made, drills, retention, ms(NOW))
    stay = set(kept(found))
    assert stay == set(kept(decide([s for s in made if s.id in stay], drills, retention, ms(NOW))))
    # nor does one that can't be read, or a drill of something else
    broken = backup(NOW - timedelta(seconds=1, milliseconds=1), readable=False)
    more = kept(decide([*made, broken], [*drills, drill(broken)], retention, ms(NOW)))
    assert set(more) - {broken.id} == stay


@settings(max_examples=50)
@given(histories(), RETENTION, st.sampled_from(["last", "hourly", "daily", "weekly", "monthly"]))
def test_a_larger_number_keeps_no_less(
    history: tuple[list[BackupSummary], list[DrillSummary]], retention: Retention, rule: str
) -> None:
    made, drills = history
    larger = retention.model_copy(update={rule: getattr(retention, rule) + 1})
    before = set(kept(decide(made, drills, retention, ms(NOW))))
    assert before <= set(kept(decide(made, drills, larger, ms(NOW))))
