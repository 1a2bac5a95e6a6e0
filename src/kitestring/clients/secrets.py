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
    file = "" if reference.file is None else str(loaded.resolve(reference.file))
    return secret_value(reference.env or "", file, named_by=f"in {loaded.file}")


def secret_value(env: str, file: str, *, named_by: str = "in the spec") -> str:
    """The secret in a variable or else a file; empty where neither is named.

    Raises:
        SecretMissing: the variable is not set, or the file can't be read.
    """
    if env:
        value = os.environ.get(env)
        if value is None:
            raise SecretMissing(
                f"the environment variable `{env}` is not set",
                hint=f"export {env}, or name another variable or file {named_by}",
                subject=env,
            )
        return value.strip()
    if not file:
        return ""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise SecretMissing(
            f"the secret's file {file} can't be read: {error.strerror}",
            hint=f"create it, or name another variable or file {named_by}",
            subject=file,
        ) from None
