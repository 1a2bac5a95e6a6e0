"""Filters of rows: the part of Milvus's filter language that means the same everywhere.

    expression := and-ed and or-ed tests, `not`, parentheses (also `&&`, `||`, `!`)
    test       := FIELD == | != | < | <= | > | >= LITERAL
                | FIELD in [LITERAL, …] | FIELD not in [LITERAL, …]
                | FIELD like "prefix%"
    LITERAL    := "text" or 'text', a number, true, false

`parse` checks an expression against a schema. What it gives can be written for a server
(`as_milvus`) and asked of rows that were read from files (`mask`). A row whose field is null
passes no test, and no negation of one either. Floating-point fields are compared as they are
stored: a FLOAT is rounded to 32 bits, and so is what it is compared with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kitestring.clients.milvus.filters import literal, quote
from kitestring.errors import UsageError
from kitestring.model.arrow import arrow_type
from kitestring.model.collection import Field, Schema

Value = str | int | float | bool

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<word>[A-Za-z_$][A-Za-z0-9_$]*)
  | (?P<sign>==|!=|<=|>=|&&|\|\||[<>!()\[\],])
    )""",
    re.VERBOSE,
)
_COMPARE = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_INTEGERS = ("INT8", "INT16", "INT32", "INT64")
_FLOATS = ("FLOAT", "DOUBLE")
_STRINGS = ("VARCHAR", "STRING")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Test:
    """`field` `operator` `values`; the operator is a comparison, `in` or `like`."""

    field: Field
    operator: str
    values: tuple[Value, ...]

    def fields(self) -> Iterator[str]:
        yield self.field.name

    def as_milvus(self) -> str:
        if self.operator == "in":
            return f"{self.field.name} in [{', '.join(map(_text, self.values))}]"
        if self.operator == "like":
            return f"{self.field.name} like {quote(f'{self.values[0]}%')}"
        return f"{self.field.name} {self.operator} {_text(self.values[0])}"

    def mask(self, batch: pa.RecordBatch) -> pa.Array:
        column = batch.column(self.field.name)
        if self.operator == "like":
            return pc.starts_with(column, str(self.values[0]))
        kind = arrow_type(self.field)
        # whole numbers and fractions are compared as numbers, not cut to the field's type
        given = [v for v in self.values if not _outside(self.field, v)]
        if self.operator == "in":
            found = pc.is_in(column, pa.array(given, kind))
            return pc.if_else(column.is_valid(), found, None)
        value = self.values[0]
        other = pa.scalar(value, pa.float64() if _outside(self.field, value) else kind)
        return _COMPARE[self.operator](column, other)


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter

    def fields(self) -> Iterator[str]:
        return self.part.fields()

    def as_milvus(self) -> str:
        return f"not ({self.part.as_milvus()})"

    def mask(self, batch: pa.RecordBatch) -> pa.Array:
        return pc.invert(self.part.mask(batch))


@dataclass(frozen=True, slots=True)
class Both:
    """`operator` is `and` or `or`."""

    operator: str
    left: Filter
    right: Filter

    def fields(self) -> Iterator[str]:
        yield from self.left.fields()
        yield from self.right.fields()

    def as_milvus(self) -> str:
        return f"({self.left.as_milvus()}) {self.operator} ({self.right.as_milvus()})"

    def mask(self, batch: pa.RecordBatch) -> pa.Array:
        join = pc.and_kleene if self.operator == "and" else pc.or_kleene
        return join(self.left.mask(batch), self.right.mask(batch))


Filter = Test | Not | Both


def parse(text: str, schema: Schema) -> Filter:
    """The filter that a text means for a collection.

    Raises:
        UsageError: it is none, or asks for what is outside of the common part; says where.
    """
    return _Parser(text, schema).whole()


def select(batch: pa.RecordBatch, wanted: Filter | None) -> pa.RecordBatch:
    """The rows that pass. The batch has to have the columns that the filter names."""
    return batch if wanted is None else batch.filter(wanted.mask(batch))


def _outside(field: Field, value: Value) -> bool:
    """Whether a number is none of the field's type: 1.5 or 300 for an INT8."""
    if field.type not in _INTEGERS or isinstance(value, str | bool):
        return False
    bits = int(field.type[3:])
    return value != int(value) or not -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else literal(value)


class _Parser:
    def __init__(self, text: str, schema: Schema) -> None:
        self.text, self.schema = text, schema
        self.tokens = list(self._tokens())
        self.at = 0

    def _tokens(self) -> Iterator[tuple[str, str, int]]:
        position = 0
        end = len(self.text.rstrip())
        while position < end:
            found = _TOKEN.match(self.text, position)
            if found is None or found.lastgroup is None:
                blank = len(self.text[position:]) - len(self.text[position:].lstrip())
                raise self._wrong("this is not known in a filter", position + blank)
            yield found.lastgroup, found.group(found.lastgroup), found.start(found.lastgroup)
            position = found.end()

    def whole(self) -> Filter:
        if not self.tokens:
            raise self._wrong("it is empty", 0)
        found = self._either()
        if self.at < len(self.tokens):
            raise self._wrong("`and` or `or` is missing before this", self.tokens[self.at][2])
        return found

    def _either(self) -> Filter:
        found = self._all()
        while self._take("or", "||"):
            found = Both("or", found, self._all())
        return found

    def _all(self) -> Filter:
        found = self._one()
        while self._take("and", "&&"):
            found = Both("and", found, self._one())
        return found

    def _one(self) -> Filter:
        if self._take("not", "!"):
            return Not(self._one())
        if self._take("("):
            found = self._either()
            self._need(")")
            return found
        return self._test()

    def _test(self) -> Filter:
        field = self._field()
        kind, text, position = self._next("an operator")
        word = text.lower() if kind == "word" else text
        if word == "not":
            self._need("in")
            return Not(Test(field, "in", self._list(field)))
        if word == "in":
            return Test(field, "in", self._list(field))
        if word == "like":
            return Test(field, "like", (self._prefix(field),))
        if word not in _COMPARE:
            raise self._wrong(f"`{text}` is no operator", position)
        value = self._value(field)
        if field.type == "BOOL" and word not in ("==", "!="):
            raise self._wrong(f"`{field.name}` is true or false: only == and != fit", position)
        return Test(field, word, (value,))

    def _field(self) -> Field:
        kind, text, position = self._next("a field")
        if kind != "word":
            raise self._wrong("a test begins with a field", position)
        field = self.schema.field(text)
        if field is None:
            hint = "; dynamic fields can't be tested" if self.schema.dynamic else ""
            raise self._wrong(f"the collection has no field `{text}`{hint}", position)
        if field.type not in (*_INTEGERS, *_FLOATS, *_STRINGS, "BOOL"):
            raise self._wrong(f"`{text}` is {field.type}: only scalars can be tested", position)
        return field

    def _list(self, field: Field) -> tuple[Value, ...]:
        self._need("[")
        values: list[Value] = []
        while not self._take("]"):
            if values:
                self._need(",")
            values.append(self._value(field))
        return tuple(values)

    def _value(self, field: Field) -> Value:
        kind, text, position = self._next("a value")
        value: Value
        if kind == "string":
            value, fits = _unquoted(text), field.type in _STRINGS
        elif kind == "number":
            whole = re.fullmatch(r"[-+]?\d+", text)
            value, fits = int(text) if whole else float(text), field.type in _INTEGERS + _FLOATS
            if not math.isfinite(value):
                raise self._wrong("the number is too large", position)
            if field.type in _FLOATS:
                value = float(value)
        elif text.lower() in ("true", "false"):
            value, fits = text.lower() == "true", field.type == "BOOL"
        else:
            raise self._wrong("a literal belongs here: text in quotes, a number, true, false",
                              position)  # fmt: skip
        if not fits:
            raise self._wrong(f"`{field.name}` is {field.type}, and this is not", position)
        return value

    def _prefix(self, field: Field) -> str:
        position = self._position()
        value = self._value(field)
        prefix = value[:-1] if isinstance(value, str) and value.endswith("%") else None
        if prefix is None or "%" in prefix or "_" in prefix or not prefix:
            raise self._wrong('only `like "prefix%"` is known, without further % or _', position)
        return prefix

    def _next(self, what: str) -> tuple[str, str, int]:
        if self.at == len(self.tokens):
            raise self._wrong(f"it ends where {what} belongs", len(self.text))
        self.at += 1
        return self.tokens[self.at - 1]

    def _take(self, *texts: str) -> bool:
        if self.at < len(self.tokens):
            kind, text, _ = self.tokens[self.at]
            if kind != "string" and text.lower() in texts:
                self.at += 1
                return True
        return False

    def _need(self, text: str) -> None:
        position = self._position()
        if not self._take(text):
            raise self._wrong(f"`{text}` belongs here", position)

    def _position(self) -> int:
        return self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.text)

    def _wrong(self, why: str, position: int) -> UsageError:
        shown = self.text[position : position + 30]
        where = f"at {position + 1}, `{shown}`" if shown else "at its end"
        return UsageError(
            f"the filter can't be used: {why} ({where})",
            hint="tests of scalar fields by ==, !=, <, <=, >, >=, in, not in, like "
            '"prefix%"; joined by and, or, not, parentheses',
            subject=self.text,
        )


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1], flags=re.DOTALL)
