"""Killed before any step, a re-embedding goes on to the same end, or goes back to the beginning."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from kitestring.clients.resolve import resolve
from kitestring.ingest.ledger import open_ledger
from kitestring.model.reembed import CUT_OVER, DISCARDED, FINISHED
from kitestring.reembed.cutover import cutover
from kitestring.reembed.finish import finish
from kitestring.reembed.record import now_ms, operation_for
from kitestring.reembed.rollback import rollback
from kitestring.reembed.run import run
from tests.unit.reembed.conftest import SPEC, Site
from tests.unit.reembed.store import Killed, RowsMilvus

Killable = Callable[[int | None], None]
HOUR = 3_600_000


def to_cutover(site: Site) -> None:
    """Goes on from wherever it is, as `status` says, until clients are on the new collection."""
    operation = operation_for(site.loaded(), "docs")
    if operation is None or operation.state in ("creating", "copying"):
        run(site.loaded(), site.milvus, "docs", "words@1")
        operation = operation_for(site.loaded(), "docs")
    assert operation is not None
    if operation.state != CUT_OVER:
        report = cutover(site.loaded(), site.milvus, "docs")
        assert report.exit_code == 0, report.operation.gates


def steps_of(site: Site, killable: Killable, what: Callable[[Site], None]) -> int:
    killable(None)
    what(site)
    return site.milvus.steps.taken


def killed_at(site: Site, killable: Killable, step: int, what: Callable[[Site], None]) -> None:
    killable(step)
    with pytest.raises(Killed):
        what(site)
    killable(None)


def test_killed_before_any_step_it_goes_on_to_the_cutover(site: Site, killable: Killable) -> None:
    before = site.texts("docs_v1")
    steps = steps_of(site, killable, to_cutover)
    assert steps > 20
    for step in range(steps):
        reset(site)
        killed_at(site, killable, step, to_cutover)
        to_cutover(site)
        assert site.milvus.alias_owner("docs") == "docs_v2", step
        assert site.texts("docs_v2") == before == site.texts("docs_v1"), step
        assert site.labels("docs_v2") == {"words@1"}
        assert site.labels("docs_v1") == {"chars@1"}
        assert resolve("docs", spec=site.loaded(), milvus=site.milvus).model == "words@1"
        with open_ledger(site.loaded()) as ledger:
            assert {row.key for row in ledger.rows("docs_v2")} == before.keys()
        # ingestion goes to the live collection, and finds it as it should be
        report = site.ingest()
        assert (report.collection, report.rows_written, report.rows_deleted) == ("docs_v2", 0, 0)


def test_killed_before_any_step_it_can_be_given_up(site: Site, killable: Killable) -> None:
    before = site.texts("docs_v1")
    steps = steps_of(site, killable, to_cutover)
    for step in range(2, steps):
        reset(site)
        killed_at(site, killable, step, to_cutover)
        if operation_for(site.loaded(), "docs") is None:
            continue
        report = rollback(site.loaded(), site.milvus, "docs", discard=True)
        assert report.operation.state == DISCARDED, step
        assert_as_before(site, before)


def test_a_killed_rollback_is_ended_by_the_next(site: Site, killable: Killable) -> None:
    before = site.texts("docs_v1")

    def back(site: Site) -> None:
        rollback(site.loaded(), site.milvus, "docs", discard=True)

    to_cutover(site)
    for step in range(steps_of(site, killable, back)):
        reset(site)
        to_cutover(site)
        killed_at(site, killable, step, back)
        if not getattr(operation_for(site.loaded(), "docs"), "ended", True):
            back(site)
        assert_as_before(site, before)


def test_a_killed_finish_is_ended_by_the_next(site: Site, killable: Killable) -> None:
    def end(site: Site) -> None:
        finish(site.loaded(), site.milvus, "docs", now=now_ms() + HOUR)

    to_cutover(site)
    site.follow_cutover()
    steps = steps_of(site, killable, end)
    for step in range(steps):
        reset(site)
        to_cutover(site)
        site.follow_cutover()
        killed_at(site, killable, step, end)
        operation = operation_for(site.loaded(), "docs")
        assert operation is not None
        if not operation.ended:
            end(site)
        ended = operation_for(site.loaded(), "docs")
        assert ended is not None
        assert ended.state == FINISHED
        assert not site.milvus.has_collection("docs_v1")
        assert site.milvus.alias_owner("docs") == "docs_v2"
        assert resolve("docs", spec=site.loaded(), milvus=site.milvus).model == "words@1"
        assert not site.loaded().followed


def assert_as_before(site: Site, before: dict[str, str]) -> None:
    assert site.milvus.alias_owner("docs") == "docs_v1"
    assert site.texts("docs_v1") == before
    assert site.labels("docs_v1") == {"chars@1"}
    assert not site.milvus.has_collection("docs_v2")
    loaded = site.loaded()
    assert not loaded.followed
    assert not loaded.registry.families
    assert resolve("docs", spec=loaded, milvus=site.milvus).model == "chars@1"
    report = site.ingest()
    assert (report.collection, report.rows_written) == ("docs_v1", 0)


def reset(site: Site) -> None:
    """The site as it was made."""
    shutil.rmtree(site.folder / "state")
    steps, site.milvus = site.milvus.steps, RowsMilvus()
    site.file.write_text(SPEC)
    site.ingest()
    site.milvus.steps = steps
