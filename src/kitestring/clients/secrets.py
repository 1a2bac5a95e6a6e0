"""Reads the secrets that a spec names. Values are never logged or shown."""

from __future__ import annotations

import os
from pathlib import Path

from kitestring.errors import SecretMissing
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.types import SecretRef


def read_secret(loaded: LoadedSpec, reference: SecretRef | None) -> str:
    """The secret that a reference names; empty where there is no reference.

    Raises:
        SecretMissing: the variable is not set, or the file can't be read.
    """
    if reference is None:
        return ""
    if reference.env is not None:
        value = os.environ.get(reference.env)
        if value is None:
            raise SecretMissing(
                f"the environment variable `{reference.env}` is not set",
                hint=f"export {reference.env}, or name another variable or file in {loaded.file}",
                subject=reference.env,
            )
        return value.strip()
    path: Path = loaded.resolve(reference.file or "")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SecretMissing(
            f"the secret's file {path} can't be read: {error.strerror}",
            hint=f"create it, or name another variable or file in {loaded.file}",
            subject=str(path),
        ) from None
