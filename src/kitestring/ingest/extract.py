"""Files into text: plain text, Markdown, HTML, PDF and reStructuredText.

Each extractor gives text whose paragraphs are separated by blank lines.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from pathlib import Path

from kitestring.errors import ExtractFailed

# part of a document's digest: raise it when an extractor gives other text for the same bytes
EXTRACT_VERSION = 1
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
# fmt: off
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "summary",
    "table", "tbody", "thead", "title", "tr", "ul",
))
# fmt: on
_CELLS = frozenset(("td", "th"))
_DROPPED = ("script", "style", "nav", "noscript", "template", "svg")


def extract(path: Path, data: bytes) -> str:
    """The text of a document, with `\\n` line ends and at least one visible character.

    Raises:
        ExtractFailed: the file is broken, of an unknown type, not decodable, or has no text.
    """
    reader = EXTRACTORS.get(path.suffix.lower())
    if reader is None:
        raise ExtractFailed(
            f"{path}: no extractor for `{path.suffix or path.name}`",
            hint=f"known types: {' '.join(sorted(EXTRACTORS))}",
            subject=str(path),
        )
    text = reader(path, data).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ExtractFailed(
            f"{path}: no text in it",
            hint="an empty file, or a PDF of scanned pages, which needs OCR first",
            subject=str(path),
        )
    # protocol buffers take no lone surrogates; NUL is never part of a text
    return text.encode("utf-8", "replace").decode().replace("\x00", "")


def _decoded(path: Path, data: bytes, encoding: str = "utf-8-sig") -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        where = (
            f" (byte {error.start} is 0x{data[error.start]:02x})"
            if isinstance(error, UnicodeDecodeError)
            else ""
        )
        raise ExtractFailed(
            f"{path}: not text in the encoding {encoding.removesuffix('-sig')}{where}",
            hint="convert it, for instance with `iconv -f LATIN1 -t UTF-8`",
            subject=str(path),
        ) from None
    if "\x00" in text:
        raise ExtractFailed(
            f"{path}: binary data, not text",
            hint="remove it from the corpus, or give it its proper suffix",
            subject=str(path),
        )
    return text


def _html(path: Path, data: bytes) -> str:
    from bs4 import BeautifulSoup, Tag
    from bs4.dammit import EncodingDetector
    from bs4.element import NavigableString, PreformattedString

    # by itself it would take any bytes for windows-1252
    encoding = EncodingDetector.find_declared_encoding(data, is_html=True) or "utf-8-sig"
    soup = BeautifulSoup(_decoded(path, data, encoding), "html.parser")
    for tag in soup(_DROPPED):
        tag.decompose()
    parts: list[str] = []

    def walk(tag: Tag, literal: bool) -> None:
        for child in tag.children:
            if isinstance(child, Tag):
                block = child.name in _BLOCKS
                if block:
                    parts.append("\n\n")
                elif child.name == "br":
                    parts.append("\n")
                walk(child, literal or child.name == "pre")
                parts.append("\n\n" if block else "  " if child.name in _CELLS else "")
            elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
                parts.append(str(child) if literal else re.sub(r"\s+", " ", str(child)))

    walk(soup, literal=False)
    lines = "".join(parts).split("\n")
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip()


def _pdf(path: Path, data: bytes) -> str:
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what matters is raised below
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ExtractFailed(
                f"{path}: the PDF is encrypted",
                hint="save a copy without a password",
                subject=str(path),
            )
        pages = [page.extract_text() for page in reader.pages]
    except ExtractFailed:
        raise
    except Exception as error:  # a broken PDF makes pypdf raise errors of any type
        raise ExtractFailed(
            f"{path}: the PDF can't be read: {error or type(error).__name__}",
            hint="open it in a viewer and save it again, or remove it from the corpus",
            subject=str(path),
        ) from error
    return "\n\n".join(pages)


def _rst(path: Path, data: bytes) -> str:
    from docutils import nodes
    from docutils.core import publish_doctree
    from docutils.utils import SystemMessage

    settings = {
        "file_insertion_enabled": False,  # a document must not read files
        "raw_enabled": False,
        "report_level": 5,  # nothing on stderr: unknown Sphinx roles are no fault of the text
        "halt_level": 5,
        "input_encoding": "unicode",
        "_disable_config": True,
        "line_length_limit": 1_000_000,
        "smart_quotes": False,
    }
    text = _decoded(path, data)
    try:
        tree = publish_doctree(text, source_path=str(path), settings_overrides=settings)
    except (SystemMessage, ValueError, AttributeError, RecursionError) as error:
        raise ExtractFailed(
            f"{path}: the reStructuredText can't be parsed: {error}",
            hint="check it with `docutils`, or rename it to .txt",
            subject=str(path),
        ) from error
    dropped = (nodes.system_message, nodes.comment, nodes.substitution_definition)
    for node in list(tree.findall(lambda n: isinstance(n, dropped))):
        parent = node.parent
        if parent is not None:
            parent.remove(node)
    blocks = [
        block.astext()
        for block in tree.findall(nodes.TextElement)
        if not isinstance(block.parent, nodes.TextElement)
    ]
    return "\n\n".join(block for block in blocks if block.strip())


EXTRACTORS: dict[str, Callable[[Path, bytes], str]] = {
    ".txt": _decoded,
    ".text": _decoded,
    ".md": _decoded,
    ".markdown": _decoded,
    ".html": _html,
    ".htm": _html,
    ".xhtml": _html,
    ".pdf": _pdf,
    ".rst": _rst,
}
