"""Where the paths of a report start for those who read it elsewhere."""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working directory, and the root of the repository it lies in (empty: in none). Both are
    absolute."""

    cwd: str = "/"
    root: str = ""

    def relative(self, file: str) -> str:
        """A file's path from the root; a path outside of it stays absolute. Outside
        of a repository, from the working directory."""
        path = os.path.normpath(PurePath(self.cwd, file))
        root = self.root or self.cwd
        if os.path.commonpath([path, root]) != root:
            return path
        return os.path.relpath(path, root)
