"""Plans on a Ray cluster of several nodes: the same results as anywhere else."""

from __future__ import annotations

import math
import os
import time

import pytest

from kitestring.errors import SegmentUnreadable, WorkerLost, WorkersUnreachable
from kitestring.parallel import open_executor

pytest.importorskip("ray", reason="Ray is not installed: make test-ray")


def where(part: int) -> tuple[int, str]:
    import ray

    time.sleep(0.2)  # or one node would do them all
    return part, ray.get_runtime_context().get_node_id()


def refuse(part: int) -> int:
    if part == 3:
        raise SegmentUnreadable("part 3 is damaged", hint="read over the API", subject="3")
    return part


def test_parts_are_spread_and_results_in_order(cluster: str) -> None:
    with open_executor(cluster) as executor:
        assert (executor.name, executor.workers) == ("ray", 3)
        assert not executor.shares_files
        assert list(executor.run(math.isqrt, range(20))) == [math.isqrt(n) for n in range(20)]
        found = list(executor.run(where, range(18)))
    assert [part for part, _ in found] == list(range(18))
    assert len({node for _, node in found}) > 1


def test_the_environment_names_the_cluster(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    with open_executor() as executor:
        assert executor.name == "ray"
        assert list(executor.run(math.isqrt, [9])) == [3]


def test_an_error_comes_as_it_was_raised(cluster: str) -> None:
    with (
        pytest.raises(SegmentUnreadable, match="part 3 is damaged") as raised,
        open_executor(cluster) as executor,
    ):
        list(executor.run(refuse, range(9)))
    assert (raised.value.hint, raised.value.subject) == ("read over the API", "3")


def test_a_worker_that_dies_is_told(cluster: str) -> None:
    with pytest.raises(WorkerLost, match="was lost"), open_executor(cluster) as executor:
        list(executor.run(os._exit, [7]))


def test_a_cluster_that_is_not_there_is_told() -> None:
    with (
        pytest.raises(WorkersUnreachable, match="no Ray cluster"),
        open_executor("127.0.0.1:9"),
    ):
        pass
