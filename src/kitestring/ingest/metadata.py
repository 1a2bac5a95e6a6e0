"""What rows say of their document beside the row contract, as the spec's `metadata` asks for."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kitestring.errors import ExtractFailed, SpecInvalid
from kitestring.ingest.documents import Source
from kitestring.model.collection import Field, Schema
from kitestring.spec.document import parse_document
from kitestring.spec.models import Metadata

_MARKDOWN = frozenset((".md", ".markdown"))
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^ {0,3}# +(.+?)(?: +#+)? *$", re.MULTILINE)
_HTML_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.DOTALL | re.IGNORECASE)
_MEND = "mend it, or leave `front_matter` out of the spec"
_INTEGERS = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}


class Enricher:
    """Values for the rows of documents, of the types that the collection's fields have.

    Args:
        asked: the spec's `metadata`; None gives no values and leaves texts as they are.
    """

    def __init__(self, asked: Metadata | None, schema: Schema) -> None:
        self._asked = asked or Metadata()
        self._schema = schema
        self._path = re.compile(self._asked.path) if self._asked.path else None

    def made_by(self, source: Source) -> str:
        """What beside its bytes decides a document's values; an empty text where nothing does."""
        if self._asked == Metadata():
            return ""
        modified = _modified(source.path) if self._asked.modified else ""
        return f"{self._asked.model_dump_json()}/{modified}\n"

    def split(self, source: Source, text: str) -> tuple[str, Mapping[str, Any]]:
        """A document's text without its front matter, and the front matter.

        Raises:
            ExtractFailed: the front matter is no YAML mapping, or there is nothing below it.
        """
        if not self._asked.front_matter or source.path.suffix.lower() not in _MARKDOWN:
            return text, {}
        found = _FRONT_MATTER.match(text)
        if found is None:
            return text, {}
        body = text[found.end() :]
        if not body.strip():
            raise ExtractFailed(
                f"{source.path}: no text below its front matter", subject=source.doc_id
            )
        return body, _parsed(source, found[1] or "")

    def values(
        self, source: Source, data: bytes, text: str, front: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values of a document's rows; a field that has none is left out.

        Raises:
            ExtractFailed: a value does not fit its column, or a column that needs one has none.
        """
        asked = self._asked
        found: dict[str, Any] = dict(asked.constants)
        if self._path and (match := self._path.fullmatch(source.doc_id)):
            found |= {k: v for k, v in match.groupdict().items() if v is not None}
        found |= {k: front[k] for k in asked.front_matter if front.get(k) is not None}
        if asked.title:
            found[asked.title] = _title(source, data, text, front)
        if asked.modified:
            found[asked.modified] = _modified(source.path)
        for name in asked.names:
            field = self._schema.field(name)
            if name in found:
                found[name] = _typed(source, field or Field(name, "JSON"), found[name])
            elif field is not None and not field.nullable:
                raise ExtractFailed(
                    f"{source.path}: it has no value for the field `{name}`",
                    hint="every row needs one: make the column `nullable`, or give the document it",
                    subject=source.doc_id,
                )
        return found


def extra_digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of a row's values beside the row contract, 32 characters; empty without values."""
    if not values:
        return ""
    plain = json.dumps(values, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()[:32]


def _parsed(source: Source, front: str) -> Mapping[str, Any]:
    try:
        # one blank line takes the place of the fence, so that lines are the file's
        document = parse_document(source.path, "\n" + (front if front.strip() else "{}"))
    except SpecInvalid as error:
        # the parser is that of specs, and speaks of them
        said = error.message.replace("a spec is", "front matter is")
        raise ExtractFailed(f"front matter: {said}", hint=_MEND, subject=source.doc_id) from None
    if document.problems:
        said = document.problems[0].text(str(source.path))
        raise ExtractFailed(f"front matter: {said}", hint=_MEND, subject=source.doc_id)
    data: Mapping[str, Any] = document.data
    return data


def _title(source: Source, data: bytes, text: str, front: Mapping[str, Any]) -> str:
    if isinstance(front.get("title"), str):
        return str(front["title"])
    suffix = source.path.suffix.lower()
    if suffix in _MARKDOWN and (heading := _HEADING.search(text)):
        return heading[1].strip()
    if suffix in (".html", ".htm", ".xhtml") and (title := _HTML_TITLE.search(data)):
        import html

        return " ".join(html.unescape(title[1].decode("utf-8", "replace")).split())
    return source.path.stem


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except OSError as error:
        raise ExtractFailed(f"{path}: {error.strerror}", subject=str(path)) from None


def _typed(source: Source, field: Field, value: Any) -> Any:
    try:
        return _converted(field.type, field.element_type or "", value, field.max_length)
    except (ValueError, TypeError, OverflowError) as error:
        raise ExtractFailed(
            f"{source.path}: `{field.name}` can't be {json.dumps(value, ensure_ascii=False)}: "
            f"{error}",
            hint="correct the document, or the type of the column",
            subject=source.doc_id,
        ) from None


def _converted(kind: str, element: str, value: Any, longest: int | None) -> Any:
    if kind == "JSON":
        _require_json(value)
        return value
    if kind == "ARRAY":
        if not isinstance(value, list):
            raise ValueError("the column is an ARRAY")
        return [_converted(element, "", item, longest) for item in value]
    if isinstance(value, list | dict):
        raise ValueError(f"the column is {kind}")
    if kind == "VARCHAR":
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if longest is not None and len(text.encode()) > longest:
            raise ValueError(f"the column takes {longest:,} bytes")
        return text
    if kind == "BOOL":
        if str(value).lower() not in ("true", "false"):
            raise ValueError("the column is BOOL")
        return str(value).lower() == "true"
    if kind in _INTEGERS:
        whole = int(value)
        # text is whole already, and a float holds fewer digits than INT64
        if (isinstance(value, float) and whole != value) or not -(
            2 ** (_INTEGERS[kind] - 1)
        ) <= whole < 2 ** (_INTEGERS[kind] - 1):
            raise ValueError(f"the column is {kind}")
        return whole
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("it is not finite")
    return number


def _require_json(value: Any) -> None:
    """Milvus makes null of a number that is not finite, and refuses one beyond 64 bits."""
    if isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _require_json(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON has finite numbers only")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("it does not fit into 64 bits")
