from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.clients.embedder.base import Vectors
from kitestring.clients.embedder.fake import FakeEmbedder
from kitestring.ingest.chunk import chunks, sentence_spans
from kitestring.ingest.semantic import gap_differences
from kitestring.spec.models import Chunking

TOPICS = ("kite", "bread", "train", "ocean")


def by_topic(texts: Sequence[str]) -> Vectors:
    """A model that sees which topics a text speaks of, and nothing else."""
    return np.array([[text.count(t) + 1e-3 for t in TOPICS] for text in texts], np.float32)


def asked(**options: object) -> Chunking:
    return Chunking.model_validate({"strategy": "semantic", "size": 1000, **options})


STORY = " ".join(f"Sentence {n} of the {topic}." for topic in TOPICS[:3] for n in range(8))


def test_passages_end_where_the_topic_changes() -> None:
    found = chunks(STORY, asked(percentile=90), by_topic)
    assert [[t for t in TOPICS if t in chunk.text] for chunk in found] == [
        ["kite"],
        ["bread"],
        ["train"],
    ]
    assert " ".join(chunk.text for chunk in found) == STORY
    assert found == chunks(STORY, asked(percentile=90), by_topic)


def test_the_gap_between_two_topics_differs_most() -> None:
    spans = sentence_spans(STORY, 0, len(STORY), 1000)
    differences = gap_differences(STORY, spans, 2, by_topic)
    assert len(differences) == len(spans) - 1
    assert set(np.argsort(differences)[-2:].tolist()) == {7, 15}
    assert differences[3] == 0


def test_a_text_without_a_boundary_and_a_short_one_are_packed() -> None:
    same = " ".join(["About the kite."] * 20)
    assert len(chunks(same, asked(), by_topic)) == 1
    assert [c.text for c in chunks("One. Two.", asked(), by_topic)] == ["One. Two."]
    assert chunks("  \n ", asked(), by_topic) == []


@settings(max_examples=60)
@given(
    st.text(st.sampled_from("ab .!?\n#é😀"), max_size=400),
    st.integers(32, 80),
    st.integers(0, 31),
    st.sampled_from([5.0, 50.0, 95.0]),
)
def test_sizes_are_held_and_nothing_is_lost(
    text: str, size: int, overlap: int, percentile: float
) -> None:
    chunking = asked(size=size, overlap=overlap, percentile=percentile)
    found = chunks(text, chunking, FakeEmbedder().embed)
    covered = set()
    for chunk in found:
        assert 0 < len(chunk.text) <= size
        assert text[chunk.start : chunk.end] == chunk.text
        covered |= set(range(chunk.start, chunk.end))
    assert all(text[i].isspace() for i in set(range(len(text))) - covered)


@settings(max_examples=60)
@given(st.text(st.sampled_from("ab .!?\n#é😀"), max_size=400), st.integers(0, 31))
def test_children_are_within_their_parents_and_nothing_is_lost(text: str, overlap: int) -> None:
    chunking = Chunking(strategy="parent-child", size=32, overlap=overlap, parent_size=100)
    covered = set()
    for child in chunks(text, chunking):
        assert child.parent is not None
        assert len(child.text) <= 32
        assert len(child.parent.text) <= 100
        assert text[child.parent.start : child.parent.end] == child.parent.text
        assert child.parent.start <= child.start < child.end <= child.parent.end
        covered |= set(range(child.start, child.end))
    assert all(text[i].isspace() for i in set(range(len(text))) - covered)


def test_labels_say_everything_that_changes_passages() -> None:
    labels = {
        asked().label,
        asked(percentile=90.0).label,
        asked(window=3).label,
        asked(overlap=10).label,
        Chunking(strategy="parent-child", size=100, parent_size=500).label,
        Chunking(strategy="parent-child", size=100, parent_size=600).label,
        Chunking(strategy="sentence", size=100).label,
    }
    assert len(labels) == 7
    assert asked().label == asked(percentile=95.0, window=2).label == "semantic-p95-w2/1000/0/1"
    assert "parent-child-500/100/0/1" in labels
