"""The score of confidence: found on what is right, and void for another model."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kitestring.model.retrieval import Calibration
from kitestring.observe.calibration import file_of, read, save, threshold

MADE = Calibration("docs", "words@1", "COSINE", 0.5, 0.9, 0.8, 0.9, 40, "0" * 64, 1)


@pytest.mark.parametrize(
    ("scores", "right", "precision", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.9, (0.7, 1.0, 0.75)),
        ([0.9, 0.8, 0.7, 0.6], [1, 1, 1, 0], 0.75, (0.6, 0.75, 1.0)),
        ([0.9, 0.8], [0, 0], 0.5, None),
        ([], [], 0.5, None),
        # a tie is taken whole: the wrong one of the same score counts
        ([0.9, 0.9], [1, 0], 0.9, None),
        # a wrong best one does not hide the right ones behind it
        ([0.9, 0.8, 0.7, 0.6, 0.5], [0, 1, 1, 1, 1], 0.8, (0.5, 0.8, 1.0)),
    ],
)
def test_threshold(scores, right, precision, expected):
    assert threshold(scores, [bool(x) for x in right], precision) == expected


def test_distances_are_the_other_way_round():
    assert threshold([1.0, 2.0, 3.0], [True, True, False], 0.9, smaller=True) == (2.0, 1.0, 2 / 3)


def test_it_holds_for_one_version_of_one_model(spec_from):
    loaded = spec_from()
    docs = loaded.spec.collections[0]
    assert read(loaded, docs, "COSINE") == "no score was calibrated"
    save(loaded, MADE)
    assert read(loaded, docs, "COSINE") == MADE
    assert "the index measures L2 now" in read(loaded, docs, "L2")
    save(loaded, replace(MADE, model="words@0"))
    assert "calibrated for words@0" in read(loaded, docs, "COSINE")


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", json.dumps({"collection": "docs"})])
def test_a_damaged_file_is_no_calibration(spec_from, text):
    loaded = spec_from()
    save(loaded, MADE)
    file_of(loaded, "docs").write_text(text)
    assert "can't be read" in read(loaded, loaded.spec.collections[0], "COSINE")
