"""Saturated nodes and what their loss takes, as literal findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.drift import run_drift
from kitestring.model.collection import LoadedSegment
from kitestring.model.nodes import NodesSeen, QueryNode

GIB = 2**30
METRICS = (
    "objectives:",
    'metrics: {endpoints: ["http://a:9091/metrics"], node_memory: 8Gi}\nobjectives:',
)


def node(number, memory, rows=3000):
    return QueryNode(number, memory, 1, {7: rows})


@pytest.fixture
def found(spec_from, with_docs):
    def run(nodes, *changes, reason="", **docs):
        snapshot = replace(with_docs(**docs), nodes=NodesSeen(tuple(nodes), "http://a", reason))
        report = run_drift(spec_from(METRICS, *changes), snapshot, only=["capacity"])
        return [
            (f.check, f.subject.partition("/")[2], "?" if f.inconclusive else f.severity.value)
            for f in report.findings
        ], report.exit_code

    return run


ALONE = ("capacity.blast-radius", "docs/query-node/1", "info")


def test_one_node_with_room(found):
    assert found([node(1, GIB)]) == ([ALONE], 0)


def test_left_out_without_metrics(spec_from, clean):
    report = run_drift(spec_from(), clean)
    assert not [run for run in report.runs if run.check.startswith("capacity.")]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [([], "nobody answers"), ([QueryNode(1, None)], ""), ([node(1, GIB)], "no metrics of 2")],
)
def test_what_is_not_known_is_inconclusive(found, nodes, reason):
    told, code = found(nodes, reason=reason)
    assert ("capacity.observed", "query-nodes", "?") in told
    assert code == 3


def test_a_full_node(found):
    told, code = found([node(1, int(7.3 * GIB))])
    assert told == [("capacity.memory", "query-node/1", "fail"), ALONE]
    assert code == 2


def test_more_rows_than_planned(found):
    grown = ("    load: {loaded: true", "    rows: 2999\n    load: {loaded: true")
    told, code = found([node(1, GIB)], grown)
    assert told == [("capacity.rows", "docs", "warn"), ALONE]
    assert code == 0
    enough = (grown[0], grown[1].replace("2999", "3000"))
    assert found([node(1, GIB)], enough) == ([ALONE], 0)


def test_an_uneven_spread(found):
    nodes = [node(1, GIB, 20_000), node(2, GIB, 1), node(3, GIB, 1)]
    assert found(nodes) == ([("capacity.balance", "query-node/1", "warn")], 0)


def test_rows_that_one_node_has_alone_although_replicas_are_wanted(found):
    two = ("replicas: 1}", "replicas: 2}")
    segments = (
        LoadedSegment(100, 3000, "Sealed", "embedding", 5, (1, 2)),
        LoadedSegment(101, 1000, "Sealed", "embedding", 5, (2,)),
    )
    told, code = found([node(1, GIB), node(2, GIB)], two, replicas=2, loaded_segments=segments)
    assert told == [("capacity.blast-radius", "docs/query-node/2", "fail")]
    assert code == 2


def test_others_that_could_not_take_over(found):
    told, code = found([node(1, 4 * GIB), node(2, 4 * GIB)])
    assert told == [
        ("capacity.blast-radius", "query-node/1", "fail"),
        ("capacity.blast-radius", "query-node/2", "fail"),
    ]
    assert code == 2
    assert found([node(1, 2 * GIB), node(2, 2 * GIB)]) == ([], 0)
