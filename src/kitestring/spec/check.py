"""Checks spec files and reports on each; `kitestring spec check` prints the reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.errors import SpecError, SpecInvalid
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.problems import Problem, refuse

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class SpecReport:
    """One file: its problems (see `Problem.as_dict`), and what it describes when it has none."""

    file: Path
    problems: tuple[Mapping[str, Any], ...] = ()
    cluster: str = ""
    collections: int = 0
    models: int = 0

    @property
    def valid(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "valid": self.valid,
            "cluster": self.cluster,
            "collections": self.collections,
            "models": self.models,
            "errors": [dict(p) for p in self.problems],
        }

    def lines(self) -> list[str]:
        """The report as text: an error a line, or one line that says what the file describes."""
        if self.problems:
            return [str(p["text"]) for p in self.problems]
        return [
            f"{self.file}: ok (cluster {self.cluster}, {_count(self.collections, 'collection')}, "
            f"{_count(self.models, 'model')})"
        ]


def check(
    file: Path,
    environ: Mapping[str, str] | None = None,
    more: Callable[[LoadedSpec], Sequence[Problem]] = lambda _: (),
) -> SpecReport:
    """The report on one file. What is wrong with it is in the report, never raised.

    Args:
        more: problems that only another room can tell, such as names of checks.
    """
    try:
        loaded = load(file, environ)
        found = more(loaded)
        if found:
            raise refuse(file, found)
        spec = loaded.spec
    except SpecInvalid as error:
        return SpecReport(file, error.problems or (_whole_file(file, error),))
    except SpecError as error:
        return SpecReport(file, (_whole_file(file, error),))
    return SpecReport(
        file,
        cluster=spec.cluster.name,
        collections=len(spec.collections),
        models=len(spec.models),
    )


def as_dict(reports: Sequence[SpecReport]) -> dict[str, Any]:
    """The reports as JSON carries them."""
    return {"schema_version": SCHEMA_VERSION, "specs": [r.as_dict() for r in reports]}


def summary(reports: Iterable[SpecReport]) -> str:
    """How many errors in how many files; empty when there are none."""
    counts = [len(r.problems) for r in reports if r.problems]
    if not counts:
        return ""
    return f"{_count(sum(counts), 'error')} in {_count(len(counts), 'spec')}"


def _whole_file(file: Path, error: SpecError) -> dict[str, Any]:
    return {
        "file": str(file),
        "line": None,
        "column": None,
        "variable": "",
        "path": "",
        "message": error.message,
        "got": None,
        "allowed": "",
        "suggestion": "",
        "text": error.message,
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
