"""What the models say a key may hold: for messages, for variables, for the reference.

Pydantic's own error locations carry names of union members and validators; walking the models
instead gives the key path that a user wrote.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from kitestring.spec.types import PATTERN_TEXTS, Model, SecretRef, read_duration


@dataclass(frozen=True, slots=True)
class Shape:
    """A type without `Annotated` and `None`, and the constraints that stood around it."""

    type: Any
    metadata: tuple[Any, ...] = ()
    optional: bool = False
    discriminator: str = ""

    # --- what it is
    @property
    def model(self) -> type[Model] | None:
        return self.type if isinstance(self.type, type) and issubclass(self.type, Model) else None

    @property
    def members(self) -> tuple[Shape, ...]:
        """The alternatives of a union; one model or value is its own only member."""
        if get_origin(self.type) in (Union, types.UnionType):
            return tuple(shape_of(a) for a in get_args(self.type))
        return (self,)

    @property
    def is_secret(self) -> bool:
        return self.type is SecretRef

    @property
    def is_list(self) -> bool:
        return get_origin(self.type) is list

    @property
    def is_mapping(self) -> bool:
        return get_origin(self.type) is dict

    @property
    def is_duration(self) -> bool:
        return any(getattr(m, "func", None) is read_duration for m in self.metadata)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a `Literal`."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def is_text(self) -> bool:
        """True where what stands in a variable is taken as it is."""
        return (
            self.type is str
            or self.is_duration
            or bool(self.choices and all(isinstance(c, str) for c in self.choices))
        )

    # --- what is below it
    @property
    def item(self) -> Shape:
        """The members of a list, or the values of a mapping."""
        return shape_of(get_args(self.type)[-1])

    def tags(self) -> dict[str, Shape]:
        """The members of a discriminated union by the value that selects them."""
        return {
            tag: member
            for member in self.members
            if self.discriminator and member.model
            for tag in get_args(member.model.model_fields[self.discriminator].annotation)
        }

    def chosen(self, data: Any) -> Shape:
        """The member of a discriminated union that the data select; itself otherwise."""
        if self.discriminator and isinstance(data, Mapping):
            tag = data.get(self.discriminator)
            return self.tags().get(tag, self) if isinstance(tag, str) else self
        return self

    def keys(self) -> dict[str, Shape]:
        """The keys that may stand below a model, or below any member of a union."""
        return {
            name: shape_of_field(info)
            for member in self.members
            if member.model
            for name, info in member.model.model_fields.items()
        }


def shape_of(annotation: Any) -> Shape:
    """The shape of a type as it stands in a model."""
    metadata: tuple[Any, ...] = ()
    optional, discriminator = False, ""
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *extra = get_args(annotation)
            for item in extra:
                if isinstance(item, FieldInfo):
                    discriminator = str(item.discriminator or "") or discriminator
                    metadata += tuple(item.metadata)
                else:
                    metadata += (item,)
        elif get_origin(annotation) in (Union, types.UnionType) and types.NoneType in get_args(
            annotation
        ):
            optional = True
            rest = [a for a in get_args(annotation) if a is not types.NoneType]
            annotation = rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007
        else:
            return Shape(annotation, metadata, optional, discriminator)


def shape_of_field(info: FieldInfo) -> Shape:
    """The shape of a model's field."""
    shape = shape_of(info.annotation)
    return Shape(
        shape.type,
        (*shape.metadata, *info.metadata),
        shape.optional,
        str(info.discriminator or "") or shape.discriminator,
    )


def bounds(shape: Shape) -> Iterator[tuple[str, Any]]:
    """The constraints of a shape as (name, value): ge, gt, le, lt, pattern, lengths."""
    for item in shape.metadata:
        for name in ("ge", "gt", "le", "lt", "pattern", "min_length", "max_length"):
            value = getattr(item, name, None)
            if value is not None:
                yield name, value


def allowed(shape: Shape) -> str:
    """What a key takes, in words; empty where every value of the type goes."""
    if shape.choices:
        text = ", ".join(str(c) for c in shape.choices)
        return f"{text}, none" if shape.optional else text
    if shape.discriminator:
        return ", ".join(shape.tags())
    limits = dict(bounds(shape))
    if "pattern" in limits:
        return PATTERN_TEXTS.get(str(limits["pattern"]), f"text that matches {limits['pattern']}")
    if shape.is_duration:
        return "a number and a unit, such as 90s, 15m, 24h or 7d"
    low = limits.get("ge", limits.get("gt"))
    high = limits.get("le", limits.get("lt"))
    if low is not None and high is not None:
        more = "more than " if "gt" in limits else ""
        less = "less than " if "lt" in limits else ""
        return f"{more}{low} to {less}{high}"
    if low is not None:
        return f"more than {low}" if "gt" in limits else f"{low} or more"
    if high is not None:
        return f"less than {high}" if "lt" in limits else f"{high} or less"
    shortest, longest = limits.get("min_length"), limits.get("max_length")
    if shortest is not None and longest is not None:
        return f"{shortest} to {longest} characters"
    if shortest is not None:
        return f"at least {shortest} character" + ("" if shortest == 1 else "s")
    if longest is not None:
        return f"at most {longest} characters"
    return ""


def kind(shape: Shape) -> str:
    """The type of a value in words."""
    if shape.is_secret:
        return "`env` or `file`"
    if shape.is_list:
        return "list"
    if shape.is_mapping or shape.model or shape.discriminator:
        return "mapping"
    if shape.is_duration:
        return "duration"
    if shape.choices:
        return "one of"
    if len(shape.members) > 1:
        return "number, text, or true or false"  # the only union of values: a parameter's
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(shape.type, "value")
