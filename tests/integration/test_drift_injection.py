"""The bench of drift detection on a few rows: every fault it plants is found, and nothing else."""

from __future__ import annotations

import json
import random

import pytest
import yaml

from kitestring.spec.load import load
from tests.bench.drift import inject
from tests.bench.drift_faults import FAULTS
from tests.bench.drift_site import Site, in_process, spec_document
from tests.integration.report_schema import VALIDATOR

# faults of definitions are planted by tests/integration/test_drift.py and test_access.py
QUICK = [one for one in FAULTS if one.rows or one.check.startswith(("embedding", "backup"))]
# what the server does with its segments after a write, and when, is its own
SETTLING = {"index.segments", "index.unindexed-rows", "index.growing", "index.replica-segments"}


def published(loaded, only=()):
    """A run whose report is as its schema says."""
    seen = in_process(loaded, only)
    VALIDATOR.validate(json.loads(json.dumps(seen.facts)))
    return seen


@pytest.fixture
def here(stack, stack_data, milvus, tmp_path, unique):
    file = tmp_path / "bench.yaml"
    document = spec_document(stack_data, 16, unique("m"), unique("s"), unique("a"))
    file.write_text(yaml.safe_dump(document))
    made = Site(load(file), milvus, random.Random(7))  # noqa: S311 - to be repeated
    yield made
    if milvus.alias_owner(made.alias) is not None:
        milvus.drop_alias(made.alias)
    for name in (made.main, made.side):
        if milvus.has_collection(name):
            milvus.drop_collection(name)


def test_every_fault_is_found_exactly_and_clean_runs_are_silent(here):
    here.fill(300)
    here.prepare()
    result = inject(here, published, QUICK, clean_runs=2, narrow=True)
    told = {one.name: (one.planted, one.found, one.exit_code) for one in result.outcomes}
    assert told == {name: (planted, planted, 2) for name, (planted, _, _) in told.items()}
    assert {one.name for one in QUICK} == told.keys()
    strangers = [
        text for one in result.outcomes for text in one.other if text.split(":")[0] not in SETTLING
    ]
    assert strangers == []
    assert set(result.spoken) <= SETTLING, result.words
