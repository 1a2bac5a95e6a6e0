from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.ingest.chunk import Chunk, chunks
from kitestring.spec.models import Chunking

STRATEGIES = ("fixed", "sentence", "markdown")
# pieces that matter to the strategies, so that generated texts have structure
PIECES = st.sampled_from(
    [
        "word", "a sentence. ", "Really?! ", "'quoted.' ", "\n", "\n\n", "# Title\n", "## Part\n",
        "```\n", "~~~\n", "# in code\n", "x" * 70, " ", "\t", "\r", "第一句。第二句。", "é", "😀",
        "\u2028", "\x0c", "#nohead\n",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=400), st.lists(PIECES, max_size=60).map("".join))


def chunking(strategy: str, size: int, overlap: int) -> Chunking:
    return Chunking.model_validate({"strategy": strategy, "size": size, "overlap": overlap})


def texts(found: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in found]


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=150)
@given(text=TEXTS, size=st.integers(32, 90), data=st.data())
def test_chunks_cover_the_document_within_size_and_overlap(
    strategy: str, text: str, size: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    found = chunks(text, chunking(strategy, size, overlap))
    covered: set[int] = set()
    for chunk in found:
        assert text[chunk.start : chunk.end] == chunk.text
        assert 0 < len(chunk.text) <= size
        assert chunk.text == chunk.text.strip()
        covered.update(range(chunk.start, chunk.end))
    assert {i for i, char in enumerate(text) if not char.isspace()} <= covered
    for before, after in itertools.pairwise(found):
        assert before.start <= after.start
        assert before.end < after.end
        assert before.end - after.start <= overlap
    assert found == chunks(text, chunking(strategy, size, overlap))


def test_fixed_windows_step_by_size_less_overlap() -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(100))
    found = chunks(text, chunking("fixed", 40, 10))
    assert [(c.start, c.end) for c in found] == [(0, 40), (30, 70), (60, 100)]


def test_sentences_stay_whole_and_the_last_ones_come_again() -> None:
    text = "One is first. Two is second. Three is third. Four is fourth."
    found = chunks(text, chunking("sentence", 45, 16))
    assert texts(found) == [
        "One is first. Two is second. Three is third.",
        "Three is third. Four is fourth.",
    ]


def test_a_sentence_longer_than_the_size_is_cut_at_white_space() -> None:
    found = chunks("aaaa " * 20, chunking("sentence", 32, 0))
    assert all(set(chunk.text.split()) == {"aaaa"} for chunk in found)


def test_markdown_sections_are_not_mixed() -> None:
    text = "# One\n\nAbout one.\n\n# Two\n\nAbout two.\n"
    found = chunks(text, chunking("markdown", 600, 80))
    assert texts(found) == ["# One\n\nAbout one.", "# Two\n\nAbout two."]


def test_a_markdown_heading_without_text_goes_with_its_first_subsection() -> None:
    found = chunks("# Book\n\n## Chapter\n\nText.\n", chunking("markdown", 600, 0))
    assert texts(found) == ["# Book\n\n## Chapter\n\nText."]


def test_a_hash_in_fenced_code_is_no_heading() -> None:
    text = "# Shell\n\n```sh\n# a comment\nls\n```\n\nAfter.\n"
    assert texts(chunks(text, chunking("markdown", 600, 0))) == [text.strip()]


def test_white_space_alone_gives_no_chunk() -> None:
    for strategy in STRATEGIES:
        assert chunks(" \n\t\n ", chunking(strategy, 64, 8)) == []
