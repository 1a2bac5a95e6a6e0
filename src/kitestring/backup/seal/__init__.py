"""Sealing: objects are encrypted on this machine, manifests and records are signed."""

from __future__ import annotations

from importlib.util import find_spec

from kitestring.errors import SealError


def require_cryptography() -> None:
    """Raises SealError where the package that does all of it is not installed."""
    if find_spec("cryptography") is None:
        raise SealError(
            "sealing and signing backups need the package `cryptography`",
            hint="pip install 'kitestring[seal]'",
        )
