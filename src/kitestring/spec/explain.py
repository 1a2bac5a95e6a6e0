"""Pydantic's errors as a user wants them: the key path, the value, what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from kitestring.spec.loaded import KeyPath
from kitestring.spec.models import Spec
from kitestring.spec.problems import ABSENT, Problem, nearest, path_text
from kitestring.spec.shape import Shape, allowed, kind, shape_of

ACROSS = "crosscheck"
"""The type of the errors about keys that do not go together; `crosscheck` places them better."""

_NO_SECRETS = (
    "secrets never stand in a spec; name where the secret is found, as `{env: VARIABLE}` or "
    "`{file: PATH}`"
)
_NO_URL = "name where the URL is found, as `{env: VARIABLE}` or `{file: PATH}`"


@dataclass(frozen=True, slots=True)
class Place:
    """The key path of an error, what may stand there, and whether a secret may stand there."""

    path: KeyPath
    shape: Shape | None  # None for a key that is not known
    parent: Shape
    secret: bool


def explain(error: ValidationError) -> tuple[list[Problem], list[Problem]]:
    """The problems of a validation: those of single keys, and those of keys among each other.

    Positions are not filled in.
    """
    single: dict[KeyPath, Problem] = {}
    across: list[Problem] = []
    for item in error.errors(include_url=False):
        place = locate(item["loc"])
        if item["type"] == ACROSS:
            across.append(Problem(place.path, item["msg"]))
        else:
            single.setdefault(place.path, _problem(item, place))
    return list(single.values()), across


def locate(loc: tuple[str | int, ...]) -> Place:
    """The place of a pydantic location, without names of union members and validators."""
    path: KeyPath = ()
    shape: Shape | None = shape_of(Spec)
    parent = shape_of(Spec)
    secret = False
    for part in loc:
        if shape is None:
            break
        if isinstance(part, str) and part in shape.tags():
            shape = shape.tags()[part]
            continue
        if shape.model and isinstance(part, str):
            secret = secret or shape.is_secret
            parent, shape = shape, shape.keys().get(part)
        elif (shape.is_list and isinstance(part, int)) or (shape.is_mapping and part != "[key]"):
            parent, shape = shape, shape.item
        else:
            continue
        path = (*path, part)
    secret = secret or bool(shape and shape.is_secret)
    return Place(path, shape, parent, secret)


def _below(data: Any, part: str | int) -> Any:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None


def _problem(item: Mapping[str, Any], place: Place) -> Problem:
    problem = _EXPLAIN.get(item["type"], _other)(item, place)
    return replace(problem, got=ABSENT) if place.secret else problem


def _unknown(item: Mapping[str, Any], place: Place) -> Problem:
    keys = [str(k) for k in place.parent.keys()]  # noqa: SIM118 - a method of Shape
    word = place.path[-1]
    if place.secret:
        return Problem(place.path, _NO_SECRETS)
    close = nearest(word, keys) or _SYNONYMS.get(str(word).casefold(), "")
    return Problem(
        place.path,
        "unknown key",
        allowed=", ".join(keys),
        suggestion=close if close in keys else "",
    )


def _missing(item: Mapping[str, Any], place: Place) -> Problem:
    takes = allowed(place.shape) if place.shape else ""
    parent = path_text(place.path[:-1])
    message = f"missing: `{parent}` needs it" if parent else "missing: every spec needs it"
    return Problem(place.path, message, allowed=takes)


def _choice(item: Mapping[str, Any], place: Place) -> Problem:
    shape = place.shape or place.parent
    got = item["input"]
    if place.path == ("version",):
        return Problem(
            place.path, "this version of kitestring reads specs of version 1", got, allowed="1"
        )
    return Problem(
        place.path,
        "not one of the values that go here",
        got,
        allowed(shape),
        nearest(got, [str(c) for c in shape.choices]),
    )


def _tag(item: Mapping[str, Any], place: Place) -> Problem:
    shape = place.shape or place.parent
    path = (*place.path, shape.discriminator)
    got = _below(item["input"], shape.discriminator)
    return Problem(
        path,
        "not one of the values that go here",
        got,
        allowed(shape),
        nearest(got, list(shape.tags())),
    )


def _tag_missing(item: Mapping[str, Any], place: Place) -> Problem:
    shape = place.shape or place.parent
    path = (*place.path, shape.discriminator)
    return Problem(path, f"missing: `{path_text(place.path)}` needs it", allowed=allowed(shape))


def _wrong_type(item: Mapping[str, Any], place: Place) -> Problem:
    shape = place.shape
    got = item["input"]
    if shape is None:
        return _other(item, place)
    if shape.is_secret:
        return Problem(place.path, _NO_URL if place.path[-1] == "base_url" else _NO_SECRETS)
    what = kind(shape)
    takes = allowed(shape)
    if what == "mapping":
        keys = ", ".join(shape.keys())
        return Problem(place.path, "must be a mapping of keys to values", got, keys)
    if what == "list":
        return Problem(place.path, "must be a list", got)
    if what == "one of":
        return _choice(item, place)
    if what == "text" and isinstance(got, int | float):
        return Problem(place.path, "must be text: put it in quotes", got, takes)
    if what == "duration":
        return Problem(place.path, "not a duration", got, takes)
    if got is None:
        return Problem(
            place.path, "has no value: write one, or remove the key", allowed=takes or what
        )
    return Problem(place.path, f"must be {_ARTICLES.get(what, what)}", got, takes)


def _limit(item: Mapping[str, Any], place: Place) -> Problem:
    if place.shape and place.shape.is_duration:
        return Problem(place.path, "must be longer than 0s", item["input"])
    takes = allowed(place.shape) if place.shape else ""
    return Problem(place.path, "out of range", item["input"], takes)


def _pattern(item: Mapping[str, Any], place: Place) -> Problem:
    got = item["input"]
    takes = allowed(place.shape) if place.shape else ""
    if place.path[-1:] == ("uri",) or place.path[-1:] == ("endpoint_url",):
        got = ABSENT if "@" in str(got) else got  # it may hold a password
    return Problem(place.path, "not of the form that goes here", got, takes)


def _value(item: Mapping[str, Any], place: Place) -> Problem:
    if place.shape and place.shape.is_duration:
        return _wrong_type(item, place)
    message = item["msg"].removeprefix("Value error, ")
    return Problem(place.path, message)


def _other(item: Mapping[str, Any], place: Place) -> Problem:
    return Problem(place.path, item["msg"][:1].lower() + item["msg"][1:], item["input"])


_ARTICLES = {
    "whole number": "a whole number",
    "number": "a number",
    "number, text, or true or false": "a number, text, or true or false",
}
_EXPLAIN: dict[str, Callable[[Mapping[str, Any], Place], Problem]] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "literal_error": _choice,
    "union_tag_invalid": _tag,
    "union_tag_not_found": _tag_missing,
    "string_pattern_mismatch": _pattern,
    "value_error": _value,
    **dict.fromkeys(
        (
            "string_type",
            "int_type",
            "float_type",
            "bool_type",
            "list_type",
            "dict_type",
            "model_type",
            "model_attributes_type",
        ),
        _wrong_type,
    ),
    **dict.fromkeys(
        (
            "greater_than",
            "greater_than_equal",
            "less_than",
            "less_than_equal",
            "string_too_short",
            "string_too_long",
            "finite_number",
            "int_parsing_size",
        ),
        _limit,
    ),
}
# words that people use for a key of another name
_SYNONYMS = {
    "url": "uri",
    "host": "uri",
    "address": "uri",
    "password": "token",
    "user": "token",
    "username": "token",
    "api_key": "token",
    "db": "database",
    "dim": "dimension",
    "metric_type": "metric",
    "index_type": "type",
    "field_name": "field",
    "schema": "columns",
    "tls_ca": "ca_file",
    "ca": "ca_file",
    "endpoint": "endpoint_url",
    "primary_key": "primary",
    "is_primary": "primary",
    "chunk_size": "size",
    "directory": "path",
    "dir": "path",
}
