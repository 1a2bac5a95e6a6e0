"""From which score on an answer is to be trusted: found on the golden queries, kept for a model.

The file is `<state>/retrieval/<collection>.json`. It holds for one version of one model: scores
of another mean something else, so another version makes it void.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from kitestring.clients.textfile import write_whole
from kitestring.errors import CalibrationFailed
from kitestring.model.codec import from_plain, to_plain
from kitestring.model.retrieval import CALIBRATION_VERSION, Calibration
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec


def threshold(
    scores: Sequence[float], right: Sequence[bool], precision: float, *, smaller: bool = False
) -> tuple[float, float, float] | None:
    """The loosest score at which the best answers are right often enough.

    Args:
        scores: of the best answer of each query.
        right: whether that answer is from a relevant document.
        precision: the share of right ones that is wanted among those at or beyond the score.
        smaller: smaller scores are nearer.

    Returns:
        (score, precision there, share of the queries there); None where no score will do.
    """
    order = sorted(range(len(scores)), key=lambda i: scores[i] if smaller else -scores[i])
    best, good = None, 0
    for taken, i in enumerate(order, 1):
        good += right[i]
        last = taken == len(order) or scores[order[taken]] != scores[i]  # ties go together
        if last and good / taken >= precision:
            best = (scores[i], good / taken, taken / len(order))
    return best


def file_of(loaded: LoadedSpec, collection: str) -> Path:
    return loaded.state_dir / "retrieval" / f"{collection}.json"


def golden_digest(loaded: LoadedSpec, collection: CollectionSpec) -> str:
    """SHA-256 of the file of golden queries, hex."""
    return hashlib.sha256(loaded.resolve(collection.golden or "").read_bytes()).hexdigest()


def save(loaded: LoadedSpec, calibration: Calibration) -> Path:
    """Writes the calibration whole, in place of an earlier one.

    Raises:
        StoreError: the state directory may not be written.
    """
    path = file_of(loaded, calibration.collection)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(to_plain(calibration), indent=2) + "\n")
    return path


def read(loaded: LoadedSpec, collection: CollectionSpec, metric: str) -> Calibration | str:
    """The calibration for the collection's model, or in words why there is none."""
    path = file_of(loaded, collection.name)
    try:
        found = from_plain(Calibration, json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return "no score was calibrated"
    except (OSError, ValueError) as error:
        return f"{path} can't be read: {error}"
    if found.schema_version != CALIBRATION_VERSION:
        return f"{path} is of another version of this tool"
    if found.model != collection.model:
        return f"it was calibrated for {found.model}, and the model is {collection.model} now"
    if found.metric != metric:
        return f"it was calibrated for {found.metric}, and the index measures {metric} now"
    return found


def refuse(collection: str, why: str) -> CalibrationFailed:
    return CalibrationFailed(
        f"`{collection}` can't be calibrated: {why}",
        hint="look at the golden queries, or lower `retrieval.precision`",
        subject=collection,
    )
