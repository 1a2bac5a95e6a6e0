"""The target of a drill is never the source, and teardown is not cut short."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from kitestring.drill.target import Endpoint, refuse_source, shielded, stoppable
from kitestring.errors import DrillRefused

SOURCE = Endpoint("http://127.0.0.1:19530", Path("/data/a"), 100, {"docs": 7})


def test_another_server_is_accepted_even_with_collections_of_the_same_name() -> None:
    refuse_source(SOURCE, Endpoint("http://127.0.0.1:29530", Path("/data/b"), 200, {"docs": 8}))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Endpoint("http://127.0.0.1:19530"), "both are at"),
        (Endpoint("http://localhost:19530/"), "both are at"),
        (Endpoint("http://0.0.0.0:19530"), "both are at"),
        (Endpoint("http://127.0.0.1:1", None, 100), "the process 100"),
        (Endpoint("http://127.0.0.1:1", Path("/data/a"), 200), "data in /data/a"),
        (Endpoint("http://127.0.0.1:1", None, None, {"docs": 7}), "`docs` with the id 7"),
    ],
)
def test_the_source_is_refused_by_whatever_identifies_it(target: Endpoint, words: str) -> None:
    with pytest.raises(DrillRefused, match=words):
        refuse_source(SOURCE, target)


def test_ctrl_c_during_teardown_waits_for_its_end() -> None:
    done = []

    def torn_down() -> None:
        with shielded():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("teardown")

    with pytest.raises(KeyboardInterrupt):
        torn_down()
    assert done == ["teardown"]


def test_sigterm_unwinds_like_ctrl_c_and_the_old_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    undone = []

    def stopped() -> None:
        with stoppable():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                undone.append("target")

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert undone == ["target"]
    assert signal.getsignal(signal.SIGTERM) is before
