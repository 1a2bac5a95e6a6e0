"""Compares chunkers on the demo's corpus: import time, speed, and what they do to the text.

    python tests/bench/bench_chunkers.py

Prints JSON. A library that is not installed is left out (`pip install chonkie
langchain-text-splitters` brings both). For each strategy, at 600 characters with an overlap of 80:
passages, seconds, passages longer than asked for, overlaps greater than asked for, passages that
are no slice of the document, visible characters of the documents that are in no passage, passages
that stop within a sentence, and passages with text of more than one section. The same again for
texts that are hard to cut.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from kitestring import __version__
from kitestring.demo.corpus import write_corpus

SIZE, OVERLAP = 600, 80
# what corpora also hold, and docstrings do not
HARD = {
    "no white space": "".join(f"{n:x}" for n in range(1500)),
    "no full stop": " ".join(f"word{n}" for n in range(800)),
    "no spaces between sentences": "".join(f"第{n}句话说的是另一件事。" for n in range(300)),
    "one long line": "; ".join(f"key{n}=value{n}" for n in range(400)),
    "indented code": "".join(f"{'    ' * (n % 8)}call_{n}(x)\n" for n in range(300)),
}
_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’)\]]*\Z")  # noqa: RUF001
_PARAGRAPH_END = re.compile(r"\s*\Z|[ \t]*\n[ \t]*\n")
_SECOND_SECTION = re.compile(r"^[^#\s].*(?:\n.*)*\n#{1,6} ", re.MULTILINE)
Split = Callable[[str], list[str]]


def own(strategy: str) -> Split:
    from kitestring.ingest.chunk import chunks
    from kitestring.spec.models import Chunking

    chunking = Chunking.model_validate({"strategy": strategy, "size": SIZE, "overlap": OVERLAP})
    return lambda text: [chunk.text for chunk in chunks(text, chunking)]


def langchain(name: str) -> Split:
    import langchain_text_splitters

    splitter = getattr(langchain_text_splitters, name)(chunk_size=SIZE, chunk_overlap=OVERLAP)
    return splitter.split_text  # type: ignore[no-any-return]


def langchain_sentences() -> Split:
    """The recursive splitter, told to cut at paragraphs, then sentences, then words."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    ends = [r"\n[ \t]*\n", r"(?<=[.!?])\s+", r"\n", r"\s+", ""]
    splitter = RecursiveCharacterTextSplitter(
        separators=ends,
        is_separator_regex=True,
        keep_separator="end",
        chunk_size=SIZE,
        chunk_overlap=OVERLAP,
    )
    return splitter.split_text


def chonkie(name: str, **options: object) -> Split:
    import chonkie as library

    chunker = getattr(library, name)(tokenizer="character", chunk_size=SIZE, **options)
    return lambda text: [chunk.text for chunk in chunker(text)]


CANDIDATES: dict[str, tuple[str, Callable[[], Split]]] = {
    "kitestring fixed": ("kitestring.ingest.chunk", lambda: own("fixed")),
    "kitestring sentence": ("kitestring.ingest.chunk", lambda: own("sentence")),
    "kitestring markdown": ("kitestring.ingest.chunk", lambda: own("markdown")),
    "langchain recursive": (
        "langchain_text_splitters",
        lambda: langchain("RecursiveCharacterTextSplitter"),
    ),
    "langchain sentence": ("langchain_text_splitters", langchain_sentences),
    "langchain markdown": ("langchain_text_splitters", lambda: langchain("MarkdownTextSplitter")),
    "chonkie token": ("chonkie", lambda: chonkie("TokenChunker", chunk_overlap=OVERLAP)),
    "chonkie sentence": ("chonkie", lambda: chonkie("SentenceChunker", chunk_overlap=OVERLAP)),
    "chonkie recursive": ("chonkie", lambda: chonkie("RecursiveChunker")),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder))
        texts = [p.read_text("utf-8") for p in sorted(Path(folder).glob("**/*.md"))]
    result: dict[str, object] = {
        "documents": len(texts),
        "characters": sum(map(len, texts)),
        "size": SIZE,
        "overlap": OVERLAP,
    }
    for name, (module, make) in CANDIDATES.items():
        library = module.split(".")[0]
        if importlib.util.find_spec(library) is None:
            continue
        split = make()
        start = time.perf_counter()
        passages = [split(text) for text in texts]
        seconds = time.perf_counter() - start
        if [split(text) for text in texts[:50]] != passages[:50]:
            raise SystemExit(f"{name} is not deterministic")
        result[name] = {
            "version": __version__ if library == "kitestring" else _version(library),
            "import_seconds": import_seconds(module),
            "seconds": round(seconds, 2),
            **faithfulness(texts, passages),
            "hard texts": faithfulness(list(HARD.values()), [split(t) for t in HARD.values()]),
        }
    print(json.dumps(result, indent=2))


def _version(library: str) -> str:
    return version(library.replace("_", "-"))


def import_seconds(module: str) -> float:
    """The least of three imports, each in a process of its own, less an empty process."""

    def least(code: str) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - start)
        return min(times)

    return round(least(f"import {module}") - least("pass"), 2)


def faithfulness(texts: list[str], passages: list[list[str]]) -> dict[str, int]:
    """What the passages do to the texts. A passage stands where it is first found after the start
    of the one before."""
    too_long = too_much_overlap = strangers = lost = broken = mixed = 0
    for text, parts in zip(texts, passages, strict=True):
        covered = bytearray(len(text))
        start = end = 0
        for number, part in enumerate(parts):
            too_long += len(part) > SIZE
            at = text.find(part, start + 1 if number else 0)
            if at < 0:
                strangers += 1
                continue
            too_much_overlap += number > 0 and end - at > OVERLAP
            start, end = at, at + len(part)
            covered[start:end] = b"\x01" * len(part)
            body = part.rstrip()
            stop = at + len(body)
            broken += not _SENTENCE_END.search(body) and not _PARAGRAPH_END.match(text, stop)
            mixed += _SECOND_SECTION.search(part) is not None
        lost += sum(not c and not char.isspace() for c, char in zip(covered, text, strict=True))
    return {
        "passages": sum(map(len, passages)),
        "too_long": too_long,
        "too_much_overlap": too_much_overlap,
        "not_in_document": strangers,
        "visible_characters_lost": lost,
        "stop_within_sentence": broken,
        "more_than_one_section": mixed,
    }


if __name__ == "__main__":
    main()
