"""Which spec file is meant where none is named."""

from __future__ import annotations

import os
from pathlib import Path

from kitestring.errors import SpecNotFound

DEFAULT_SPECS = ("kitestring.yaml", "infra/clusters/local.yaml")


def named_spec(path: str | Path | None) -> Path | None:
    """The file that is named, here or by `KITESTRING_SPEC`; None where none is."""
    named = path or os.environ.get("KITESTRING_SPEC")
    return Path(named) if named else None


def default_spec() -> Path:
    """`kitestring.yaml` of the working directory, or the demo's spec of a checkout.

    Raises:
        SpecNotFound: neither is there.
    """
    for candidate in DEFAULT_SPECS:
        if Path(candidate).is_file():
            return Path(candidate)
    raise SpecNotFound(
        "no spec named",
        hint="--spec FILE, or set KITESTRING_SPEC, or write ./kitestring.yaml",
    )
