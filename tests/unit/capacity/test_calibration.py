"""The factors, against the loaded collections that they are from."""

from __future__ import annotations

import pytest

from kitestring.capacity.calibration import (
    CALIBRATION,
    CHECKED,
    MEASURED,
    Measured,
    calibration_text,
    worst_error,
)


@pytest.mark.parametrize("measured", MEASURED, ids=lambda m: m.name)
def test_every_measured_collection_is_within_a_quarter(measured: Measured) -> None:
    assert abs(CALIBRATION.error(measured)) < 0.25


@pytest.mark.parametrize("checked", CHECKED, ids=lambda m: m.name)
def test_collections_that_the_factors_are_not_from(checked: Measured) -> None:
    assert abs(CALIBRATION.error(checked)) < 0.3
    assert checked not in MEASURED


def test_the_error_that_is_shown_is_the_largest() -> None:
    measured = (*MEASURED, *CHECKED)
    assert worst_error() == max(abs(CALIBRATION.error(m)) for m in measured)
    assert calibration_text() == (
        f"calibrated on Milvus 2.3.5: {len(measured)} loaded collections, each within "
        f"{worst_error():.0%} of what the plan says"
    )


def test_factors_never_promise_less_than_arithmetic() -> None:
    assert CALIBRATION.index_factor >= 1
    assert CALIBRATION.scalar_factor >= 1
    assert CALIBRATION.row_bytes >= 0


def test_graphs_lists_and_raw_vectors_were_measured() -> None:
    assert {"FLAT", "HNSW", "IVF_FLAT"} <= {m.index for m in MEASURED}
    assert {m.dim for m in MEASURED} >= {128, 384}
    assert any(m.text for m in MEASURED)
