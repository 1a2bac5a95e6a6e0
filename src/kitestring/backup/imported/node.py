"""Values of a JSON document of another tool, whose errors name the file and the place in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kitestring.errors import ImportRefused


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON object, and where it stands.

    What is 0, empty or false is left out of these documents: it is read as such.
    """

    value: dict[str, Any]
    file: str
    place: str = ""

    def int(self, name: str) -> int:
        found = self.value.get(name, 0)
        if isinstance(found, str) and found.lstrip("-").isdecimal():  # protobuf's own JSON
            return int(found)
        if isinstance(found, bool) or not isinstance(found, int):
            raise self.wrong(name, "a whole number")
        return found

    def text(self, name: str) -> str:
        found = self.value.get(name, "")
        if not isinstance(found, str):
            raise self.wrong(name, "a text")
        return found

    def flag(self, name: str) -> bool:
        found = self.value.get(name, False)
        if not isinstance(found, bool):
            raise self.wrong(name, "true or false")
        return found

    def node(self, name: str) -> Node:
        found = self.value.get(name) or {}
        if not isinstance(found, dict):
            raise self.wrong(name, "an object")
        return Node(found, self.file, self._at(name))

    def nodes(self, name: str) -> Iterator[Node]:
        for number, found in enumerate(self._list(name)):
            if not isinstance(found, dict):
                raise self.wrong(f"{name}.{number}", "an object")
            yield Node(found, self.file, self._at(f"{name}.{number}"))

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._list(name)
        if not all(isinstance(text, str) for text in found):
            raise self.wrong(name, "a list of texts")
        return tuple(found)

    def pairs(self, name: str) -> dict[str, str]:
        """A list of `{"key": …, "value": …}`."""
        return {pair.text("key"): pair.text("value") for pair in self.nodes(name)}

    def mapping(self, name: str) -> dict[str, str]:
        """An object of texts."""
        found = self.node(name)
        return {key: found.text(key) for key in found.value}

    def _list(self, name: str) -> list[Any]:
        found = self.value.get(name) or []
        if not isinstance(found, list):
            raise self.wrong(name, "a list")
        return found

    def _at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def wrong(self, name: str, wanted: str) -> ImportRefused:
        """The error of a value that is not what it should be."""
        return ImportRefused(
            f"{self.file}: `{self._at(name)}` is not {wanted}",
            hint="the backup is damaged, or of a version of its tool that is not known",
            subject=self.file,
        )


def parse(data: bytes, file: str) -> Node:
    """The JSON object of a file.

    Raises:
        ImportRefused: it is none.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImportRefused(
            f"{file} can't be read: {error}",
            hint="the backup is damaged: it was cut short or changed",
            subject=file,
        ) from None
    if not isinstance(value, dict):
        raise ImportRefused(f"{file} holds no JSON object", subject=file)
    return Node(value, file)
