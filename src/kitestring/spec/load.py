"""Reads a spec: file, environment overlay, validation, and the source of each value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kitestring.spec.document import read_document
from kitestring.spec.loaded import KeyPath, LoadedSpec
from kitestring.spec.models import Spec
from kitestring.spec.problems import Problem, refuse
from kitestring.spec.types import Model


def load(path: Path, environ: Mapping[str, str] | None = None) -> LoadedSpec:
    """The spec in a file, with `KITESTRING__…` variables of the environment laid over it.

    Args:
        environ: the environment; None for that of the process.

    Raises:
        SpecNotFound: there is no file.
        SpecInvalid: the message lists every error, with file, line and column.
    """
    del environ
    document = read_document(path)
    problems = list(document.problems)
    spec: Spec | None = None
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        problems += [
            Problem(tuple(e["loc"]), e["msg"], position=document.position(tuple(e["loc"])))
            for e in error.errors()
        ]
    if problems or spec is None:
        raise refuse(path, problems)
    return LoadedSpec(spec, path, document.positions, _sources(spec, document.positions, {}))


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
