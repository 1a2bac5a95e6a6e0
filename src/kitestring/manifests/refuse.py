"""Errors of builders: they name the key of the spec, and its file and line where it is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kitestring.errors import SpecInvalid
from kitestring.manifests.base import SpecPath
from kitestring.spec.loaded import LoadedSpec


def refuse(path: SpecPath, text: str, *, hint: str = "") -> SpecInvalid:
    """An error about one key of the spec, to be raised."""
    dotted = ".".join(map(str, path))
    return SpecInvalid(
        f"{dotted}: {text}",
        hint=hint,
        subject=dotted,
        problems=({"path": list(path), "message": text},),
    )


@contextmanager
def located(loaded: LoadedSpec) -> Iterator[None]:
    """Adds file and line to errors that `refuse` made.

    Raises:
        SpecInvalid: that of the block, its message beginning with `FILE:LINE:`.
    """
    try:
        yield
    except SpecInvalid as error:
        path = error.problems[0].get("path") if len(error.problems) == 1 else None
        if not isinstance(path, list):
            raise
        place = loaded.locate(*path)
        raise SpecInvalid(
            f"{place.file}:{place.line}: {error.message}",
            hint=error.hint,
            subject=error.subject,
            problems=error.problems,
        ) from None
