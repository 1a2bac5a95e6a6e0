"""When a backup is due."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.enforce.backups import backup_due
from kitestring.errors import UsageError

HOUR = 3600.0


@pytest.fixture
def newest(clean):
    return clean.backups[0]


def due_after(loaded, summaries, hours, **options):
    base = 1_799_992_800.0  # the boundary of `newest`, in seconds since the epoch
    return backup_due(loaded, summaries, base + hours * HOUR, **options)


@pytest.mark.parametrize(("hours", "due"), [(0, False), (24, False), (24.1, True)])
def test_by_the_objective(spec_from, newest, hours, due):
    result = due_after(spec_from(), [newest], hours)
    assert (result.due, result.newest) == (due, newest)
    assert result.age == pytest.approx(hours * HOUR)


def test_by_a_largest_age(spec_from, newest):
    assert due_after(spec_from(), [newest], 2, max_age=HOUR).due


@pytest.mark.parametrize("change", [{"readable": False}, {"cluster": "another"}])
def test_others_and_unreadable_ones_do_not_count(spec_from, newest, change):
    result = due_after(spec_from(), [replace(newest, **change)], 0)
    assert result.due
    assert "no backup of this cluster" in result.reason


def test_the_newest_boundary_counts(spec_from, newest):
    older = replace(newest, id="b0", boundary=newest.boundary - 90_000_000)
    assert due_after(spec_from(), [older, newest], 1).newest == newest


def test_one_of_a_part_is_no_reason_to_leave_the_rest_out(spec_from, newest):
    names = newest.collections
    assert names
    for part in ({"collections": ("other",)}, {"partial": names}):
        ad_hoc = replace(newest, id="b9", boundary=newest.boundary + 86_000_000, **part)
        result = due_after(spec_from(), [newest, ad_hoc], 25)
        assert (result.due, result.newest) == (True, newest)
    # a name that no backup has ever held is an alias, or not there yet
    renamed = replace(newest, collections=("docs_v1",))
    assert not due_after(spec_from(), [renamed], 1).due


def test_one_of_the_future_is_no_reason_to_make_none(spec_from, newest):
    result = due_after(spec_from(), [newest], -24 * 365)
    assert result.due
    assert "a clock was set back" in result.reason
    older = replace(newest, id="b0", boundary=newest.boundary - 365 * 86_400_000)
    assert due_after(spec_from(), [older, newest], -24 * 365 + 1).newest == older


def test_nothing_says_what_is_allowed(spec_from, newest):
    loaded = spec_from(("objectives: {rpo: 24h, rto: 10m, drill_every: 7d}\n", ""))
    with pytest.raises(UsageError, match="how old"):
        due_after(loaded, [newest], 0)
    assert not due_after(loaded, [newest], 0, max_age=HOUR).due
