"""What checks there are, and how they are chosen."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.checks.registry import BY_ID, CHECKS, FAMILIES, select
from kitestring.errors import UsageError
from kitestring.render.checks_pages import reference_pages

ROOT = Path(__file__).parents[3]


def test_ids_are_stable():
    """Scripts and silenced findings name them: add to this list, change nothing in it."""
    assert list(BY_ID) == [
        "schema.missing-collection",
        "schema.drift",
        "schema.unmanaged",
        "index.missing",
        "index.drift",
        "index.unmanaged",
        "index.unindexed-rows",
        "index.segments",
        "index.replica-segments",
        "index.growing",
        "index.recall",
        "load.state",
        "load.replicas",
        "groups.nodes",
        "groups.placement",
        "alias.drift",
        "rows.scan",
        "ledger.absent",
        "rows.missing",
        "rows.orphan",
        "rows.stale",
        "rows.duplicate",
        "rows.duplicate-content",
        "rows.unfinished",
        "corpus.read",
        "corpus.not-ingested",
        "corpus.changed",
        "corpus.gone",
        "embedding.model-mismatch",
        "chunking.mismatch",
        "embedding.sign-off",
        "embedding.canary",
        "embedding.vectors",
        "embedding.query-encoder",
        "embedding.content-drift",
        "config.expiry",
        "config.unmanaged",
        "config.consistency",
        "config.database",
        "config.server",
        "retrieval.calibrated",
        "retrieval.hit-rate",
        "retrieval.golden-gone",
        "retrieval.hybrid",
        "capacity.observed",
        "capacity.memory",
        "capacity.rows",
        "capacity.balance",
        "capacity.blast-radius",
        "tenancy.isolation",
        "tenancy.ownerless",
        "tenancy.access",
        "access.observed",
        "access.missing",
        "access.extra",
        "access.widened",
        "reembed.spec",
        "backup.none",
        "backup.unreadable",
        "backup.too-old",
        "backup.unverified",
        "backup.not-drilled",
        "backup.coverage",
        "backup.retention",
        "schedule.cron-entry",
        "schedule.timer",
        "schedule.late",
        "schedule.failed",
        "infra.observed",
        "infra.missing",
        "infra.changed",
        "infra.pending",
        "infra.added",
        "infra.extra",
        "infra.not-ready",
        "spec.suppression-expired",
        "spec.suppression-unused",
    ]


def test_every_check_is_documented():
    for check in CHECKS:
        assert re.fullmatch(r"[a-z]+\.[a-z-]+", check.id)
        assert not check.info.title.endswith(".")
        for text in (check.info.meaning, check.info.cause, check.info.mend):
            assert text.endswith(".")


def test_requirements_are_checks_and_come_first():
    order = list(BY_ID)
    for check in CHECKS:
        for name in check.requires:
            assert order.index(name) < order.index(check.id)
            assert set(BY_ID[name].requires) <= set(check.requires)


def test_the_reference_pages_are_generated():
    """Every check has its page, every page its check, and all are as `make docs` makes them."""
    made = reference_pages([c.info for c in CHECKS], {c.id: c.requires for c in CHECKS})
    folder = ROOT / "docs/reference"
    there = {f"checks/{page.name}" for page in (folder / "checks").glob("*.md")}
    assert there == made.keys() - {"checks.md"}, "run: make docs"
    assert {f"checks/{check.id}.md" for check in CHECKS} == there
    for path, text in made.items():
        assert (folder / path).read_text() == text, f"{path} is out of date; run: make docs"


def test_a_check_without_documentation_fails():
    bare = replace(CHECKS[0].info, mend="")
    with pytest.raises(ValueError, match="has no documentation"):
        reference_pages([bare], {})


@pytest.mark.parametrize(
    ("only", "ids"),
    [
        (["load.state"], ["schema.missing-collection", "load.state"]),
        (["load"], ["schema.missing-collection", "load.state", "load.replicas"]),
        (["load.*"], ["schema.missing-collection", "load.state", "load.replicas"]),
        (["schema.unmanaged"], ["schema.unmanaged"]),
        (["chunking"], ["schema.missing-collection", "rows.scan", "chunking.mismatch"]),
    ],
)
def test_select(only, ids):
    assert [check.id for check in select(only)] == ids


def test_select_all():
    assert select() == CHECKS
    assert {check.id for check in select(FAMILIES)} == set(BY_ID)


@pytest.mark.parametrize(
    ("name", "near"), [("index.drft", "index.drift"), ("embeding", "embedding")]
)
def test_a_mistyped_name(name, near):
    with pytest.raises(UsageError) as caught:
        select([name])
    assert f"did you mean `{near}`?" in caught.value.hint
    assert caught.value.exit_code == 64
