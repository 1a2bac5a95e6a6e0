"""Golden queries: questions whose answers are known.

A file of them is YAML: `version: 1` and `queries`, a list of `{query: text, relevant: [document
ids]}`. A document id is what ingestion gives a document (see `ingest.documents`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.errors import GoldenInvalid, SpecInvalid
from kitestring.spec.document import Document, parse_document

_KEYS = ("query", "relevant")


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """A question, and the documents of which at least one should be found."""

    query: str
    relevant: tuple[str, ...]


def load_golden(path: Path) -> tuple[GoldenQuery, ...]:
    """The golden queries in a file.

    Raises:
        GoldenInvalid: the message lists every error with file and line.
    """
    try:
        # an empty file gets this file's own error, not a spec's
        document = parse_document(path, path.read_text("utf-8") or "{}")
    except OSError as error:
        raise GoldenInvalid(
            f"{path} can't be read: {error.strerror}",
            hint="correct `golden` of the collection in the spec",
            subject=str(path),
        ) from None
    except UnicodeDecodeError:
        raise GoldenInvalid(f"{path} is not UTF-8 text", subject=str(path)) from None
    except SpecInvalid as error:
        raise GoldenInvalid(error.message, subject=str(path)) from None
    problems = [str(problem) for problem in document.problems]
    queries = _queries(document, problems)
    if problems:
        raise GoldenInvalid(
            "\n".join(problems),
            hint="each query is `{query: text, relevant: [document ids]}`",
            subject=str(path),
        )
    return queries


def _queries(document: Document, problems: list[str]) -> tuple[GoldenQuery, ...]:
    path, data = document.file, document.data
    if not isinstance(data, dict) or data.get("version") != 1:
        problems.append(f"{path}:1: it has no `version: 1`")
        return ()
    unknown = [key for key in data if key not in ("version", "queries")]
    if unknown:
        line, _ = document.position((unknown[0],))
        problems.append(f"{path}:{line}: unknown key `{unknown[0]}`")
    listed = data.get("queries")
    if not isinstance(listed, list) or not listed:
        problems.append(f"{path}:1: `queries` is not a list of one or more queries")
        return ()
    found: dict[str, GoldenQuery] = {}
    for number, entry in enumerate(listed):
        line, _ = document.position(("queries", number))
        problem = _problem(entry)
        if problem is None and str(entry["query"]) in found:
            problem = "the same query is there before"
        if problem:
            problems.append(f"{path}:{line}: {problem}")
        else:
            query = str(entry["query"])
            found[query] = GoldenQuery(query, tuple(map(str, entry["relevant"])))
    return tuple(found.values())


def _problem(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return "not a query: write `query` and `relevant`"
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        return f"unknown key `{unknown[0]}`"
    if not isinstance(entry.get("query"), str) or not entry["query"].strip():
        return "`query` is missing or empty"
    relevant = entry.get("relevant")
    if not isinstance(relevant, list) or not relevant:
        return "`relevant` is not a list of one or more document ids"
    if not all(isinstance(doc, str) and doc for doc in relevant):
        return "`relevant` holds something else than document ids"
    return None
