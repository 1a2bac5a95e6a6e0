"""The streaming comparison against one that uses sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.model.ledger import LedgerRow
from kitestring.observe.reconcile import EXAMPLES, StoreRow, Unordered, reconcile

# keys that collide often, and some outside ASCII and the basic plane
KEYS = st.one_of(st.sampled_from("abcdefghij"), st.text(min_size=1, max_size=3))
HASHES = st.sampled_from(["h1", "h2"])
NOW = 1000


def entry(key: str, content: str = "h1", at: int = 0) -> LedgerRow:
    return LedgerRow(key, "doc", 0, content, "m@1", "fixed/200/0/1", at)


def ordered(keys: Mapping[str, str] | list[str]) -> list[str]:
    return sorted(keys, key=lambda key: key.encode("utf-8", "surrogatepass"))


@given(st.lists(st.tuples(KEYS, HASHES), max_size=30), st.dictionaries(KEYS, HASHES, max_size=30))
def test_streams_and_sets_agree(store: list[tuple[str, str]], ledger: dict[str, str]) -> None:
    first = dict(reversed(store))  # the first row of a key is the one that counts
    ranks = {key: number for number, key in enumerate(ordered(list(first)))}
    rows = [StoreRow(key, content) for key, content in sorted(store, key=lambda r: ranks[r[0]])]
    result = reconcile(rows, [entry(key, ledger[key]) for key in ordered(ledger)])

    assert result.store_rows == len(store)
    assert result.store_keys == len(first)
    assert result.ledger_rows == len(ledger)
    assert result.missing.count == len(set(ledger) - set(first))
    assert result.orphan.count == len(set(first) - set(ledger))
    assert result.stale.count == sum(first[k] != ledger[k] for k in set(first) & set(ledger))
    assert result.duplicate.count == sum(n - 1 for n in Counter(k for k, _ in store).values())
    assert set(result.missing.examples) <= set(ledger) - set(first)
    assert set(result.orphan.examples) <= set(first) - set(ledger)
    assert len(result.missing.examples) == min(EXAMPLES, result.missing.count)
    assert len(result.orphan.examples) == min(EXAMPLES, result.orphan.count)


@given(st.dictionaries(KEYS, HASHES, max_size=20))
def test_equal_streams_have_no_difference(rows: dict[str, str]) -> None:
    keys = ordered(rows)
    result = reconcile(
        [StoreRow(key, rows[key]) for key in keys], [entry(key, rows[key]) for key in keys]
    )
    assert (result.missing.count, result.orphan.count, result.stale.count) == (0, 0, 0)


@pytest.mark.parametrize("at", [NOW, NOW + 1])
def test_rows_written_after_the_watermark_are_in_flight(at: int) -> None:
    store = [StoreRow("changed", "h2", at), StoreRow("new", "h1", at)]
    ledger = [entry("changed", "h1", 0), entry("unseen", "h1", at)]
    result = reconcile(store, ledger, watermark=NOW)
    settled = int(at == NOW)
    assert result.missing.count == settled
    assert result.orphan.count == settled
    assert result.stale.count == settled


def test_a_collection_without_hashes_has_no_stale_rows() -> None:
    assert reconcile([StoreRow("a", None)], [entry("a")]).stale.count == 0


def test_order_is_that_of_the_bytes_beyond_the_basic_plane() -> None:
    # by UTF-16 code units the second would come first
    keys = ["\uff5e", "\U0001f600"]
    result = reconcile([StoreRow(k, "h1") for k in keys], [entry(k) for k in keys])
    assert result.store_keys == 2
    assert result.missing.count == 0


def test_a_store_that_is_out_of_order_is_refused() -> None:
    with pytest.raises(Unordered, match="`a` was read after `b`"):
        reconcile([StoreRow("b"), StoreRow("a")], [])


def test_a_ledger_that_is_out_of_order_is_refused() -> None:
    with pytest.raises(Unordered, match="in the ledger"):
        reconcile([], [entry("b"), entry("a")])
