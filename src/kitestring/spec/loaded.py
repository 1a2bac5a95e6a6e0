"""A spec together with where its values came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kitestring.model.finding import Location
from kitestring.model.registry import Registry
from kitestring.spec.models import Spec

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A value that the file has to take over from the registry (see `kitestring.spec.registry`)."""

    path: KeyPath
    said: str
    now: str


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A valid spec, its file, the position of each key, and the source of each value.

    `sources` maps a key path to `file`, `env:NAME` or `default`. `followed` is where `spec` goes
    by the registry instead of by the file.
    """

    spec: Spec
    file: Path
    positions: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)
    sources: Mapping[KeyPath, str] = field(default_factory=dict)
    registry: Registry = field(default_factory=Registry)
    followed: tuple[Change, ...] = ()

    def locate(self, *path: str | int) -> Location:
        """Where a key stands in the file; its nearest parent's place where it does not."""
        for end in range(len(path), -1, -1):
            position = self.positions.get(path[:end])
            if position is not None:
                return Location(str(self.file), *position)
        return Location(str(self.file), 1, 1)

    def edits(self) -> tuple[str, ...]:
        """What has to be edited in the file for it to say what the registry says, in words."""
        return tuple(
            f"{self.locate(*c.path)}: {c.path[-1]}: {c.said} -> {c.path[-1]}: {c.now}"
            for c in self.followed
        )

    def resolve(self, path: str) -> Path:
        """A path of the spec as an absolute one; relative paths start at the spec file."""
        return (self.file.resolve().parent / Path(path).expanduser()).resolve()

    @property
    def state_dir(self) -> Path:
        return self.resolve(self.spec.state)
