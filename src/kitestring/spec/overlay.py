"""Variables of the environment laid over a spec: `KITESTRING__CONNECTION__URI=…`.

Two underscores lead one level down; items of a list are named by their number, from 0. A list or
mapping is written as YAML on one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from kitestring.spec.document import Document, parse_scalar
from kitestring.spec.loaded import KeyPath
from kitestring.spec.models import Connection, PortForward, Spec
from kitestring.spec.problems import Problem, nearest
from kitestring.spec.shape import Shape, shape_of
from kitestring.spec.types import SecretRef

PREFIX = "KITESTRING__"

# of these keys only one may stand: a variable for one takes the others of the file away
_ALTERNATIVES = (("uri", "embedded", "kubernetes"), ("env", "file"))


class _NoKeyError(Exception):
    """The words of a variable lead to no key; `suggestion` is a variable that would."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


def lay_over(document: Document, environ: Mapping[str, str]) -> dict[KeyPath, str]:
    """Puts the variables' values into the document; returns which variable set which path.

    What fits no key goes to the document's problems.
    """
    variables: dict[KeyPath, str] = {}
    names = [name for name in environ if name.startswith(PREFIX)]
    for name in sorted(names, key=lambda n: (n.count("__"), n)):
        try:
            path, shape, parent = _find(name, document.data)
            _put(document, path, _value(shape, environ[name]))
        except _NoKeyError as fault:
            document.problems.append(
                Problem((), str(fault), suggestion=fault.suggestion, variable=name)
            )
            continue
        variables[path] = name
        if parent.model in (Connection, PortForward, SecretRef):
            _drop_alternatives(document, path, variables)
    return variables


def _find(name: str, data: Any) -> tuple[KeyPath, Shape, Shape]:
    """The path of a variable, what may stand there, and what may stand above it."""
    words = name.removeprefix(PREFIX).split("__")
    path: KeyPath = ()
    shape = parent = shape_of(Spec)
    for number, word in enumerate(words):
        parent = shape = shape.chosen(data)
        keys = shape.keys()
        part: str | int
        if keys:
            part = word.casefold()
            if part not in keys:
                close = nearest(word, keys)
                better = [*words[:number], close.upper(), *words[number + 1 :]]
                raise _NoKeyError(
                    "it fits no key of the spec", PREFIX + "__".join(better) if close else ""
                )
            shape = keys[part]
        elif shape.is_list:
            length = len(data) if isinstance(data, list) else 0
            if not word.isdecimal() or int(word) > length:
                raise _NoKeyError(
                    f"`{word}` is no number of an item: the list has {length}, counted from 0"
                )
            part, shape = int(word), shape.item
        elif shape.is_mapping:
            existing = data if isinstance(data, Mapping) else {}
            part = next((k for k in existing if k.casefold() == word.casefold()), word)
            shape = shape.item
        else:
            stop = PREFIX + "__".join(words[:number])
            raise _NoKeyError("it goes below a key that holds a single value", stop)
        path = (*path, part)
        data = _below(data, part)
    return path, shape, parent


def _below(data: Any, part: str | int) -> Any:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None


def _value(shape: Shape, text: str) -> Any:
    if shape.is_text:
        return None if not text and shape.optional else text
    try:
        return parse_scalar(text)
    except ValueError:
        return text


def _put(document: Document, path: KeyPath, value: Any) -> None:
    """Sets a value, making the mappings and lists above it where they are missing."""
    parent: Any = document.data
    for part, following in pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        below = _below(parent, part)
        if below is not None and not isinstance(below, type(empty)):
            raise _NoKeyError("it goes below a key for which the file has a single value")
        if below is None:
            below = empty
            _set(parent, part, below)
        parent = below
    _set(parent, path[-1], value)


def _set(parent: Any, part: str | int, value: Any) -> None:
    if isinstance(parent, list) and part == len(parent):
        parent.append(value)
    else:
        parent[part] = value


def _drop_alternatives(document: Document, path: KeyPath, variables: Mapping[KeyPath, str]) -> None:
    for place in range(len(path)):  # a variable may go below the key: `kubernetes.context`
        key, above = path[place], path[:place]
        for keys in _ALTERNATIVES:
            if key not in keys:
                continue
            parent: Any = document.data
            for part in above:
                parent = parent[part]
            for other in ((*above, k) for k in keys if k != key):
                named = any(v[: len(other)] == other for v in variables)
                if not named and parent.pop(other[-1], None) is not None:
                    document.positions.pop(other, None)
