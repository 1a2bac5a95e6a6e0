"""Passages that end where the meaning changes.

At each gap between two sentences, the block of sentences before it is compared with the block
after it, as TextTiling does (Hearst, Computational Linguistics 23(1), 1997), but by the cosine of
their embeddings. The gaps that differ more than a percentile of the document's own are the
boundaries, as in Kamradt's "5 Levels of Text Splitting" (2023) and LangChain's SemanticChunker,
which embed each sentence with its neighbours instead: blocks that overlap differ less at a true
boundary. What is between two boundaries is packed into passages of at most `size` characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kitestring.ingest.chunk import Embed, Span, packed, sentence_spans
from kitestring.spec.models import Chunking

_DECIMALS = 6  # of a distance: what is below is the arithmetic's, not the text's


def semantic_spans(text: str, chunking: Chunking, embed: Embed) -> Iterator[Span]:
    """The spans of a document's passages; the same text and vectors give the same spans.

    Raises:
        EmbedderFailed, DimensionMismatch: the model failed.
    """
    sentences = [
        span
        for span in sentence_spans(text, 0, len(text), chunking.size)
        if text[span[0] : span[1]].strip()
    ]
    first = 0
    for cut in [*_boundaries(text, sentences, chunking, embed), len(sentences)]:
        if cut > first:
            yield from packed(sentences[first:cut], chunking.size, chunking.overlap)
        first = cut


def _boundaries(
    text: str, sentences: Sequence[Span], chunking: Chunking, embed: Embed
) -> Iterator[int]:
    """The sentences with which something new begins."""
    if len(sentences) < 3:
        return
    differences = gap_differences(text, sentences, chunking.sentences, embed)
    threshold = np.percentile(differences, chunking.gap_percentile)
    for gap in np.flatnonzero(differences > threshold):
        yield int(gap) + 1


def gap_differences(
    text: str, sentences: Sequence[Span], window: int, embed: Embed
) -> NDArray[np.float64]:
    """1 - cosine of the blocks of `window` sentences before and after each gap.

    Returns:
        Shape [len(sentences) - 1]; 0 is the same, 2 the opposite.
    """
    count = len(sentences)
    before = [(max(0, gap - window), gap) for gap in range(1, count)]
    after = [(gap, min(count, gap + window)) for gap in range(1, count)]
    blocks = sorted({*before, *after})
    place = {block: row for row, block in enumerate(blocks)}
    vectors = embed(
        [text[sentences[a][0] : sentences[b - 1][1]].strip() for a, b in blocks]
    ).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    left = vectors[[place[block] for block in before]]
    right = vectors[[place[block] for block in after]]
    differences: NDArray[np.float64] = 1.0 - (left * right).sum(axis=1)
    return np.round(differences, _DECIMALS)
