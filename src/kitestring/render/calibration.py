"""A calibrated score, for people and for programs."""

from __future__ import annotations

import json

from kitestring.model.codec import to_plain
from kitestring.model.retrieval import Calibration


def calibration_text(made: Calibration) -> str:
    """Two lines."""
    return (
        f"{made.collection}, {made.model}: an answer is to be trusted from the {made.metric} "
        f"score {made.score:.4g}\n"
        f"of {made.queries} golden queries, {made.coverage:.0%} have a best answer that passes; "
        f"{made.precision:.0%} of those are right (wanted: {made.wanted:.0%})\n"
    )


def calibration_json(made: Calibration) -> str:
    """The calibration as it is kept."""
    return json.dumps(to_plain(made), indent=2, ensure_ascii=False) + "\n"
