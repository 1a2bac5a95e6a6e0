"""Documents into passages: fixed size, whole sentences, along Markdown's structure, where the
meaning changes (see `semantic`), or small ones within large ones.

Every strategy cuts the text into spans and packs neighbouring spans into chunks. A chunk is a
slice of the document without the white space around it, so chunks lose nothing, are at most
`size` characters long and start at most `overlap` characters before the end of the chunk before.
Why this is not a library: docs/decisions/0001-chunking-library.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitestring.errors import UsageError
from kitestring.spec.models import Chunking

if TYPE_CHECKING:
    from kitestring.clients.embedder.base import Vectors

# part of a document's digest: raise it when the same text gives other chunks
CHUNK_VERSION = 1
# the end of a sentence: its mark, closing quotes and brackets, then white space; or a blank line
_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’)\]]*\s+|\n[ \t]*\n\s*|(?<=[。！？])")  # noqa: RUF001
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SPACE = re.compile(r"\s")

Span = tuple[int, int]
Embed = Callable[[Sequence[str]], "Vectors"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage and where it stands in its document, in characters."""

    start: int
    end: int
    text: str
    parent: Chunk | None = None  # the larger passage that it is part of (`parent-child`)
    parent_index: int = 0


def chunks(text: str, chunking: Chunking, embed: Embed | None = None) -> list[Chunk]:
    """The passages of a document in their order; none when it holds only white space.

    Args:
        embed: the collection's model, for `semantic`.

    Raises:
        UsageError: `semantic` without a model.
        EmbedderFailed, DimensionMismatch: the model failed.
    """
    if chunking.strategy == "parent-child":
        return _children(text, chunking)
    if chunking.strategy == "semantic":
        from kitestring.ingest.semantic import semantic_spans

        if embed is None:
            raise UsageError("`semantic` chunking needs a model")
        spans = semantic_spans(text, chunking, embed)
    else:
        spans = _STRATEGIES[chunking.strategy](text, chunking.size, chunking.overlap)
    return _distinct(text, spans)


def _children(text: str, chunking: Chunking) -> list[Chunk]:
    """Whole sentences packed into parents, without overlap, and each parent into children."""
    found: list[Chunk] = []
    parents = _distinct(text, _sentences(text, chunking.parent_size or chunking.size, 0))
    for index, parent in enumerate(parents):
        spans = sentence_spans(text, parent.start, parent.end, chunking.size)
        found += [
            replace(child, parent=parent, parent_index=index)
            for child in _distinct(text, packed(spans, chunking.size, chunking.overlap))
        ]
    return found


def _distinct(text: str, spans: Iterator[Span]) -> list[Chunk]:
    found: list[Chunk] = []
    for start, end in spans:
        chunk = _trimmed(text, start, end)
        # white space at the end of a document can leave a last chunk with nothing new in it
        if chunk is not None and not (found and chunk.end <= found[-1].end):
            found.append(chunk)
    return found


def packed(spans: list[Span], size: int, overlap: int) -> Iterator[Span]:
    """Neighbouring spans (each at most `size` long) joined into chunks of at most `size`.

    A chunk begins with the last spans of the one before, as many as fit into `overlap` and still
    leave room for a span that is new.
    """
    first = 0
    covered = 0  # spans before it are in some chunk
    while covered < len(spans):
        start = spans[first][0]
        end = covered + 1
        while end < len(spans) and spans[end][1] - start <= size:
            end += 1
        yield start, spans[end - 1][1]
        covered = end
        if covered == len(spans):
            return
        first = covered
        while (
            first > 0
            and spans[covered - 1][1] - spans[first - 1][0] <= overlap
            and spans[covered][1] - spans[first - 1][0] <= size
        ):
            first -= 1


def _fixed(text: str, size: int, overlap: int) -> Iterator[Span]:
    for start in range(0, max(1, len(text) - overlap), size - overlap):
        yield start, min(start + size, len(text))


def _sentences(text: str, size: int, overlap: int) -> Iterator[Span]:
    yield from packed(sentence_spans(text, 0, len(text), size), size, overlap)


def _markdown(text: str, size: int, overlap: int) -> Iterator[Span]:
    for section in _sections(text, size):
        yield from packed(section, size, overlap)


def sentence_spans(text: str, start: int, end: int, size: int) -> list[Span]:
    """The sentences of a part of a text, those that are longer than `size` in pieces."""
    ends = [m.end() for m in _SENTENCE_END.finditer(text, start, end)]
    spans: list[Span] = []
    for stop in [*ends, end]:
        if stop > start:
            spans.extend(_cut(text, start, stop, size))
            start = stop
    return spans


def _sections(text: str, size: int) -> Iterator[list[Span]]:
    """One section at a time: a heading and what follows it, to the next heading.

    A heading without a text of its own goes with the section after it. Lines of fenced code are
    spans of their own, so that code is cut between lines, and `#` within it is no heading.
    """
    section: list[Span] = []
    has_body = False
    fence = ""
    prose = 0  # start of the prose not yet cut
    position = 0
    for line in text.splitlines(keepends=True):
        end = position + len(line)
        mark = _FENCE.match(line)
        if fence:
            section.extend(_cut(text, position, end, size))
            prose = end
            if mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
                fence = ""
        elif mark or _HEADING.match(line):
            section.extend(sentence_spans(text, prose, position, size))
            if mark:
                fence = mark[1]
                has_body = True
            elif has_body:
                yield section
                section, has_body = [], False
            section.extend(_cut(text, position, end, size))
            prose = end
        elif line.strip():
            has_body = True
        position = end
    section.extend(sentence_spans(text, prose, len(text), size))
    if section:
        yield section


def _cut(text: str, start: int, end: int, size: int) -> Iterator[Span]:
    """A span in pieces of at most `size`, cut after white space where there is some."""
    while end - start > size:
        at = start + size
        space = next((i for i in range(at, start, -1) if _SPACE.match(text, i - 1)), at)
        # white space only at the very start would give an endless run of tiny pieces
        space = at if not text[start:space].strip() else space
        yield start, space
        start = space
    yield start, end


def _trimmed(text: str, start: int, end: int) -> Chunk | None:
    raw = text[start:end]
    body = raw.strip()
    if not body:
        return None
    start += len(raw) - len(raw.lstrip())
    return Chunk(start, start + len(body), body)


_STRATEGIES: dict[str, Callable[[str, int, int], Iterator[Span]]] = {
    "fixed": _fixed,
    "sentence": _sentences,
    "markdown": _markdown,
}
