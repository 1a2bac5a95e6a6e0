"""What a command leaves out, as it has no use for it."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

_PANDAS = "pandas"


class _Without(MetaPathFinder):
    """A finder for which pandas is not installed."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname == _PANDAS:
            raise ModuleNotFoundError(fullname, name=fullname)
        return None


def leave_pandas_out() -> None:
    """Lets pyarrow take it that there is no pandas, for commands that need no server.

    With the first value that it converts pyarrow imports pandas, to know its types (0.2 s and
    35 MB), and remembers what it found. Only for a process of our own: another may have values of
    pandas' types.
    """
    if _PANDAS in sys.modules:  # pymilvus needs it
        return
    import pyarrow as pa

    finder = _Without()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0]).to_numpy()
    finally:
        sys.meta_path.remove(finder)
