"""Filters that keep a client's questions within one tenant, and fail closed.

    from kitestring.tenancy import tenant_filter

    client.search("docs", [vector], filter=tenant_filter(request.tenant, where=user_filter))

Milvus takes an empty filter for all rows, and a filter that was put together from text for
whatever its parser makes of it. So a scope that is missing, empty or a wildcard is an error here
and never a filter; values are escaped; and what a user adds can only narrow the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kitestring.clients.milvus.filters import quote
from kitestring.errors import ScopeRefused

__all__ = ["ScopeRefused", "check_where", "tenant_filter"]

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
# of Plan.g4 of Milvus: its lexer takes no string with another one, and goes on behind the quote
_ESCAPE = re.compile(
    r"\\(?:[abfnrtv'\"?\\]|[0-7]{1,3}|x[0-9A-Fa-f]+|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
)
_WILDCARDS = "*%"
_INT64 = range(-(1 << 63) + 1, 1 << 63)
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_MAX_DEPTH = 100  # of brackets; Milvus's parser is recursive
_HINT = "take the tenant from the authenticated request, and answer nothing where there is none"


def tenant_filter(tenant: str | int | None, where: str = "", *, field: str = "tenant_id") -> str:
    """The filter `field == tenant`, and `where` within it.

    Args:
        tenant: whose rows; a whole number for a collection whose tenants are numbers.
        where: a further filter in Milvus's language, also from a user; empty for none.
        field: the field that says whose a row is; a name of the application, never of a user.

    Returns:
        `(field == tenant)`, or `(field == tenant) and (where)`; never an empty text.

    Raises:
        ScopeRefused: there is no tenant, or it is empty, blank, a wildcard or no text; or `where`
            could mean something else than a filter of its own (see `check_where`).
    """
    if not isinstance(field, str) or not _FIELD.fullmatch(field):
        raise ScopeRefused(f"{field!r} is not the name of a field", hint="such as tenant_id")
    scope = f"({field} == {_value(tenant)})"
    if not where:
        return scope
    check_where(where)
    return f"{scope} and ({where})"


def check_where(where: str) -> None:
    """Makes sure that a filter stays within the brackets that are put around it.

    Raises:
        ScopeRefused: brackets or quotes do not pair up, a string has an escape that is none, or
            there is something outside of quotes that the filter language does not have there: a
            backslash, a line break, a control character, a comment.
    """
    if not isinstance(where, str) or not where.strip():
        raise ScopeRefused("the filter to add is blank", hint="leave `where` out for none")
    expected: list[str] = []
    for char in _outside_of_strings(where):
        if char in _CLOSES:
            expected.append(_CLOSES[char])
            if len(expected) > _MAX_DEPTH:
                raise _broken(f"more than {_MAX_DEPTH} brackets are within each other")
        elif char in _CLOSES.values() and (not expected or expected.pop() != char):
            raise _broken(f"a `{char}` closes what was not opened")
        elif char == "\\" or not char.isprintable():
            raise _broken(f"{char!r} stands outside of quotes")
    if expected:
        raise _broken(f"a `{expected[-1]}` is missing")
    bare = "".join(_outside_of_strings(where))
    for mark in ("//", "/*", "--", "#", ";"):
        if mark in bare:
            raise _broken(f"`{mark}` is no part of a filter")


def _outside_of_strings(text: str) -> Iterator[str]:
    """The characters that are not within quotes; a string is given as one space."""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char not in "\"'":
            yield char
            continue
        while at < len(text) and text[at] != char:
            if text[at] in "\r\n":
                raise _broken("a line ends within quotes")
            if text[at] != "\\":
                at += 1
                continue
            escape = _ESCAPE.match(text, at)
            if escape is None:
                raise _broken("a backslash within quotes escapes nothing that Milvus knows")
            at = escape.end()
        if at >= len(text):
            raise _broken("a quote is not closed")
        at += 1
        yield " "


def _value(tenant: str | int | None) -> str:
    if isinstance(tenant, bool) or not isinstance(tenant, str | int):
        raise ScopeRefused(
            "no tenant is given" if tenant is None else f"{tenant!r} is no tenant", hint=_HINT
        )
    if isinstance(tenant, int):
        number = int(tenant)  # an enum's member has another text, and no place in a range
        if number not in _INT64:
            raise ScopeRefused(f"{number} is beyond the numbers that Milvus has", hint=_HINT)
        return str(number)
    if not tenant.strip():
        raise ScopeRefused("the tenant is empty", hint=_HINT)
    if any(mark in tenant for mark in _WILDCARDS):
        raise ScopeRefused(f"{tenant!r} has a wildcard: it names no tenant", hint=_HINT)
    if any(ord(char) < 32 or 0xD800 <= ord(char) < 0xE000 for char in tenant):
        raise ScopeRefused(f"{tenant!r} has a character that is no text", hint=_HINT)
    return quote(tenant)


def _broken(why: str) -> ScopeRefused:
    return ScopeRefused(
        f"the filter to add is not whole: {why}",
        hint="it would be put behind the tenant's scope and could lead out of it",
    )
