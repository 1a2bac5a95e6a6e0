"""What is the same, and what is not, between two states of many rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.backup.logical import changes
from kitestring.backup.logical.changes import Changes, Comparison
from kitestring.backup.logical.index import prints_of
from kitestring.model.digest import key_hashes

Row = tuple[int, int, str]  # key, stamp, partition
rows = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from("ab")), max_size=30)


def compared(before: list[list[Row]], now: list[list[Row]], capacity: int = 0) -> Changes:
    with Comparison(capacity) as comparison:
        for add, units in ((comparison.before, before), (comparison.now, now)):
            for number, unit in enumerate(units):
                for key, stamp, partition in unit:
                    prints = prints_of(np.array([stamp], np.int64))
                    add(number, partition, key_hashes(pa.array([key])), prints)
        return comparison.result(len(before), len(now))


@given(st.lists(rows, max_size=3), st.lists(rows, max_size=3), st.sampled_from([0, 7]))
@settings(max_examples=60)
def test_kept_and_fresh_rows_are_the_rows_that_are_there_now(
    before: list[list[Row]], now: list[list[Row]], capacity: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changes, "SLICE", 3)  # several slices, on disk, for a capacity of 7
        found = compared(before, now, capacity)
    kept = [r for unit, mask in zip(before, found.kept, strict=True)
            for r, k in zip(unit, mask, strict=True) if k]  # fmt: skip
    fresh = [r for unit, mask in zip(now, found.fresh, strict=True)
             for r, k in zip(unit, mask, strict=True) if k]  # fmt: skip
    old, new = (Counter(r for unit in units for r in unit) for units in (before, now))
    assert Counter(kept) + Counter(fresh) == new
    assert Counter(kept) == old & new  # all that can be kept is


def test_a_row_in_another_partition_is_another_row() -> None:
    found = compared([[(1, 5, "a")]], [[(1, 5, "b")]])
    assert (found.kept[0].tolist(), found.fresh[0].tolist()) == ([False], [True])
