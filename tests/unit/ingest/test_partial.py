from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import stamina

from kitestring.clients.embedder.base import Vectors
from kitestring.clients.embedder.fake import FakeEmbedder
from kitestring.errors import (
    AuthenticationFailed,
    EmbedderFailed,
    IngestError,
    KitestringError,
    MilvusError,
    ServerUnreachable,
)
from kitestring.ingest.partial import IN_VAIN, PartialEmbedder, PartialWriter


class Picky(FakeEmbedder):
    """Refuses texts with `bad` in them, all of them when `down`."""

    def __init__(self, error: KitestringError, *, down: bool = False) -> None:
        super().__init__()
        self.error, self.down, self.calls = error, down, 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.calls += 1
        if self.down or any("bad" in text for text in texts):
            raise self.error
        return super().embed(texts)


TEXTS = [f"text {n}" for n in range(100)]


def test_only_the_texts_that_are_refused_are_left_out() -> None:
    texts = [*TEXTS]
    texts[17] = texts[63] = "bad"
    model = Picky(EmbedderFailed("too long", texts=True))
    vectors, refused = PartialEmbedder(model).embed(texts)
    assert set(refused) == {17, 63}
    assert set(vectors) == set(range(100)) - {17, 63}
    assert (vectors[5] == FakeEmbedder().embed_query("text 5")).all()
    assert model.calls < 40


def test_a_model_that_refuses_everything_is_not_asked_for_each_text() -> None:
    model = Picky(EmbedderFailed("no such model", texts=True), down=True)
    with pytest.raises(EmbedderFailed, match="no such model"):
        PartialEmbedder(model).embed(TEXTS)
    assert model.calls < 50


def test_a_model_that_does_not_answer_ends_the_run_after_a_few_batches() -> None:
    partial = PartialEmbedder(Picky(EmbedderFailed("429", transient=True), down=True))
    for _ in range(IN_VAIN - 1):
        vectors, refused = partial.embed(TEXTS)
        assert (len(vectors), len(refused)) == (0, 100)
    with pytest.raises(EmbedderFailed):
        partial.embed(TEXTS)


class Server:
    """Takes rows without `bad`, after `away` calls without an answer."""

    def __init__(self, error: KitestringError | None = None, away: int = 0) -> None:
        self.rows: list[int] = []
        self.error, self.away = error or MilvusError("the text is too long"), away

    def upsert(self, _name: str, rows: Sequence[dict[str, Any]]) -> None:
        if self.away:
            self.away -= 1
            raise ServerUnreachable("away")
        if any("bad" in row for row in rows):
            raise self.error
        self.rows += [row["n"] for row in rows]


ROWS: list[dict[str, Any]] = [{"n": n} for n in range(50)]


def test_rows_that_are_refused_stop_no_other_and_a_server_may_be_away_for_a_moment() -> None:
    server = Server(away=2)
    rows = [*ROWS, {"n": 50, "bad": True}]
    with stamina.set_testing(True, attempts=4):
        refused = PartialWriter(server, "c").upsert(rows)  # type: ignore[arg-type]
    assert list(refused) == [50]
    assert sorted(server.rows) == list(range(50))


@pytest.mark.parametrize("error", [AuthenticationFailed("no"), ServerUnreachable("away")])
def test_what_is_no_fault_of_a_row_is_raised(error: KitestringError) -> None:
    with stamina.set_testing(True, attempts=2), pytest.raises(type(error)):
        PartialWriter(Server(error), "c").upsert([{"n": 1, "bad": 1}])  # type: ignore[arg-type]


def test_a_server_that_takes_no_row_of_several_batches_ends_the_run() -> None:
    writer = PartialWriter(Server(), "c")  # type: ignore[arg-type]
    bad = [{"n": n, "bad": True} for n in range(5)]
    for _ in range(IN_VAIN - 1):
        assert len(writer.upsert(bad)) == 5
    with pytest.raises(IngestError, match="took no row of 3 batches: the text is too long"):
        writer.upsert(bad)
