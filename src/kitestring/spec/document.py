"""A spec file as plain values, with the line and column of each key.

YAML is read by PyYAML's C parser into nodes (30 times as fast as ruamel.yaml, measured on 500
collections), and scalars by the core schema of YAML 1.2: `on`, `yes` and `01:30` are text, not a
truth value or a number of base 60.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kitestring.errors import SpecInvalid, SpecNotFound
from kitestring.spec.loaded import KeyPath
from kitestring.spec.problems import Problem, refuse

_MAX_NODES = 500_000  # aliases within aliases can stand for more than memory holds
_MAX_DEPTH = 200
_RUN = re.compile(rf"(?:[-?:][ \t]+){{{_MAX_DEPTH}}}")  # each begins something in the one before
_TOO_DEEP = "this YAML is nested too deeply"
_TAG = "tag:yaml.org,2002:"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The parser with the scalars of YAML 1.2's core schema (section 10.3.2)."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - PyYAML's own protocol


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"^(?:{_pattern})$"), _first)


@dataclass(slots=True)
class Document:
    """What a spec file says, before anything is known of its meaning."""

    file: Path
    data: Any = None
    positions: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def position(self, path: KeyPath) -> tuple[int, int]:
        """Where a key stands; its nearest parent's place where it does not."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.positions:
                return self.positions[path[:end]]
        return (1, 1)


def read_document(file: Path) -> Document:
    """The values of a spec file.

    Faults that leave the rest readable (a key that is there twice) are in `problems`.

    Raises:
        SpecNotFound: there is no file at the path.
        SpecInvalid: it can't be read, or is no YAML.
    """
    return parse_document(file, _text(file))


def parse_document(file: Path, text: str) -> Document:
    """The values of the text of a spec file.

    Raises:
        SpecInvalid: the text is no YAML, or no mapping.
    """
    document = Document(file)
    try:
        if _may_be_deep(text) and _is_deep(text):
            raise RecursionError
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(file, text, error) from None
    except yaml.YAMLError as error:
        message = str(error).splitlines()[0]
        raise refuse(file, [Problem((), f"this is no YAML: {message}")]) from None
    except RecursionError:
        raise refuse(file, [Problem((), _TOO_DEEP)]) from None
    if root is None:
        raise refuse(
            file,
            [Problem((), "the file is empty; write a spec, or `kitestring spec adopt --uri URI`")],
        )
    document.positions[()] = _mark(root)
    try:
        document.data = _Builder(document).value(root, ())
    except RecursionError:
        raise refuse(file, [Problem((), _TOO_DEEP)]) from None
    if not isinstance(document.data, dict):
        what = "a list" if isinstance(document.data, list) else "a single value"
        document.problems.append(
            Problem(
                (), f"a spec is a mapping of keys to values, this is {what}", position=_mark(root)
            )
        )
        raise refuse(file, document.problems)
    return document


def parse_scalar(text: str) -> Any:
    """A value as it would be read if it stood in a spec (a list or mapping in flow style too).

    Raises:
        ValueError: the text is no YAML.
    """
    document = Document(Path("-"))
    try:
        root = yaml.compose(text, Loader=_Loader)
        value = None if root is None else _Builder(document).value(root, ())
    except (yaml.YAMLError, RecursionError):
        raise ValueError("no YAML value") from None
    if document.problems:
        raise ValueError(document.problems[0].message)
    return value


def _may_be_deep(text: str) -> bool:
    """Whether brackets or dashes could nest deeply: the C parser has no limit of its own, and
    overruns the stack of the process. Cheap, and sure only when it says no."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return _RUN.search(text) is not None


def _is_deep(text: str) -> bool:
    """Whether a text nests too deeply, from the parser's events, which need no stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            depth += 1
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:  # at once: the parser's time grows with the square of the depth
            return True
    return False


class _Builder:
    """Turns nodes into values; notes positions and faults in the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[int] = set()  # ids of the nodes above, against an alias of a parent
        self._count = 0

    def value(self, node: Any, path: KeyPath) -> Any:
        self._count += 1
        if id(node) in self._open or self._count > _MAX_NODES:
            self._fault(path, "an alias must not stand for something that contains it", node)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path)
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _sequence(self, node: Any, path: KeyPath) -> list[Any]:
        self._check_tag(node, path, "seq")
        values = []
        for number, item in enumerate(node.value):
            below = (*path, number)
            self._document.positions[below] = _mark(item)
            values.append(self.value(item, below))
        return values

    def _mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        self._check_tag(node, path, "map")
        values: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(path, "a key must be a single word", key)
                continue
            if key.tag == _TAG + "merge":
                self._fault(path, "merge keys (`<<`) are not read: write the keys out", key)
                continue
            below = (*path, key.value)
            if key.value in values:
                first = self._document.positions[below][0]
                self._fault(below, f"this key is there twice, first in line {first}", key)
                continue
            self._document.positions[below] = _mark(key)
            values[key.value] = self.value(item, below)
        return values

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if kind == "null":
            return None
        try:
            if kind == "bool":
                return text.lower() == "true"
            if kind == "int":
                return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
            if kind == "float":
                lowered = text.lower().lstrip("+-")
                if lowered == ".nan":
                    return math.nan
                if lowered == ".inf":
                    return -math.inf if text.startswith("-") else math.inf
                return float(text)
        except ValueError:
            self._fault(path, f"`{text[:40]}` is not a number that can be read", node)
            return None
        self._check_tag(node, path, "str")
        return text

    def _check_tag(self, node: Any, path: KeyPath, plain: str) -> None:
        if node.tag != _TAG + plain:
            tag = node.tag.replace(_TAG, "!!")
            self._fault(path, f"YAML tags are not read: remove `{tag}`", node)

    def _fault(self, path: KeyPath, message: str, node: Any) -> None:
        self._document.problems.append(Problem(path, message, position=_mark(node)))


def _mark(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise SpecNotFound(
            f"there is no spec at {file}",
            hint="check the path, or write a spec from a server: `kitestring spec adopt --uri URI`",
            subject=str(file),
        ) from None
    except IsADirectoryError:
        raise SpecInvalid(
            f"{file} is a directory, not a spec file",
            hint=f"name the file, such as {file / 'local.yaml'}",
            subject=str(file),
        ) from None
    except OSError as error:
        raise SpecInvalid(
            f"the spec {file} can't be read: {error.strerror}", subject=str(file)
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        problem = Problem((), "the file is not text in UTF-8", position=(line, column))
        raise refuse(file, [problem]) from None
    bad = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1) + 1
        message = f"a control character (0x{ord(bad.group()):02x}): this is not a text file"
        raise refuse(file, [Problem((), message, position=(line, column))])
    return text


def _no_yaml(file: Path, text: str, error: Any) -> SpecInvalid:
    mark = error.problem_mark or error.context_mark
    position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = _YAML_FAULTS.get(error.problem or "", error.problem or "it can't be parsed")
    if mark and text[mark.index : mark.index + 1] == "\t":
        message = "a tab in the indentation: use spaces"
    if error.context and error.problem not in _YAML_FAULTS:
        message += f" ({error.context})"
    return refuse(file, [Problem((), f"this is no YAML: {message}", position=position)])


_YAML_FAULTS = {
    "found character that cannot start any token": (
        "a character that can't start a value: put text that begins with @, ` or % in quotes"
    ),
    "found a tab character that violates indentation": "a tab in the indentation: use spaces",
    "mapping values are not allowed in this context": (
        "a second `:` in this line, or wrong indentation; put text that holds `: ` in quotes"
    ),
    "could not find expected ':'": "a key without its `:`, in this line or the one above",
    "but found another document": "a second document begins here (`---`); a file holds one spec",
}
