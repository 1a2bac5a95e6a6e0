"""Reads a spec: file, environment overlay, validation, and the source of each value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kitestring.spec.crosscheck import crosscheck
from kitestring.spec.document import Document, read_document
from kitestring.spec.explain import explain
from kitestring.spec.loaded import KeyPath, LoadedSpec
from kitestring.spec.models import Spec
from kitestring.spec.overlay import lay_over
from kitestring.spec.problems import Problem, refuse
from kitestring.spec.registry import follow
from kitestring.spec.types import FROM_FILE, Model


def load(path: Path, environ: Mapping[str, str] | None = None) -> LoadedSpec:
    """The spec in a file, with `KITESTRING__…` variables of the environment laid over it, and
    what the registry of re-embeddings says of its collections (see `kitestring.spec.registry`).

    Args:
        environ: the environment; None for that of the process.

    Raises:
        SpecNotFound: there is no file.
        SpecInvalid: the message lists every error, with file, line and column.
        RegistryUnreadable: the registry in the state directory is damaged.
    """
    return follow(resolve(read_document(path), os.environ if environ is None else environ))


def resolve(document: Document, environ: Mapping[str, str]) -> LoadedSpec:
    """The spec that a document and an environment give.

    Raises:
        SpecInvalid: the message lists every error.
    """
    variables = lay_over(document, environ)
    spec, problems = _validate(document.data)
    placed = [_placed(problem, document, variables) for problem in problems]
    if document.problems or placed or spec is None:
        raise refuse(document.file, [*document.problems, *placed])
    positions = document.positions
    return LoadedSpec(spec, document.file, positions, _sources(spec, positions, variables))


def _validate(data: Any) -> tuple[Spec | None, list[Problem]]:
    spec: Spec | None = None
    single: list[Problem] = []
    across: list[Problem] = []
    try:
        spec = Spec.model_validate(data, context=FROM_FILE)
    except ValidationError as error:
        single, across = explain(error)
    wrong = {problem.path for problem in single}
    found = [p for p in crosscheck(data) if p.path not in wrong]
    # crosscheck knows the line of what a model as a whole complains about
    for problem in across:
        below = len(problem.path)
        if not any(p.path[:below] == problem.path for p in found):
            found.append(problem)
    return spec, single + found


def _placed(problem: Problem, document: Document, variables: Mapping[KeyPath, str]) -> Problem:
    """The problem with its line and column, or the variable that brought the value."""
    for end in range(len(problem.path), 0, -1):
        variable = variables.get(problem.path[:end])
        if variable is not None:
            return replace(problem, variable=variable)
        if problem.path[:end] in document.positions:
            break
    return replace(problem, position=document.position(problem.path))


def _sources(
    spec: Spec, positions: Mapping[KeyPath, object], variables: Mapping[KeyPath, str]
) -> dict[KeyPath, str]:
    """Where each value that is not itself made of values comes from."""
    sources: dict[KeyPath, str] = {}

    def walk(value: Any, path: KeyPath, inherited: str) -> None:
        source = variables.get(path)
        source = f"env:{source}" if source else inherited
        if isinstance(value, Model):
            for name in type(value).model_fields:
                walk(getattr(value, name), (*path, name), source)
        elif isinstance(value, list) and value:
            for number, item in enumerate(value):
                walk(item, (*path, number), source)
        elif isinstance(value, dict) and value:
            for key, item in value.items():
                walk(item, (*path, key), source)
        else:
            sources[path] = source or ("file" if path in positions else "default")

    walk(spec, (), "")
    return sources
