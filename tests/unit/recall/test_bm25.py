"""BM25 and fusion of ranks, by hand-computed values."""

from __future__ import annotations

import math

from kitestring.recall.bm25 import Bm25, fuse, words


def test_words_are_of_any_script():
    assert words("Über-Drachen 2, «шнур» 漢字!") == ["über", "drachen", "2", "шнур", "漢字"]


def test_a_score_by_hand():
    ranked = Bm25(["kite"])
    ranked.add("a", "kite string")
    ranked.add("b", "kite kite kite string")
    ranked.add("c", "nothing at all here")
    assert ranked.rank(0, 10) == ["b", "a"]
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    mean = 10 / 3

    def score(count, size):
        return idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * size / mean))

    assert score(3, 4) > score(1, 2)


def test_rare_words_count_more():
    ranked = Bm25(["common rare", "absent"])
    for n in range(20):
        ranked.add(n, "common word")
    ranked.add("r", "rare word")
    assert ranked.rank(0, 1) == ["r"]
    assert ranked.rank(1, 5) == []
    assert Bm25(["x"]).rank(0, 5) == []


def test_fusion_prefers_what_both_have():
    assert fuse([["a", "b", "c"], ["b", "d"]], 2) == ["b", "a"]
    assert fuse([[], []], 3) == []
