"""Finds the repository that a directory lies in."""

from __future__ import annotations

from pathlib import Path

from kitestring.model.checkout import Checkout


def checkout(start: Path | None = None) -> Checkout:
    """The working directory and the root of its Git repository, if it lies in one."""
    here = (start or Path.cwd()).resolve()
    root = next((at for at in (here, *here.parents) if (at / ".git").exists()), None)
    return Checkout(str(here), str(root or ""))


def path_in_repository(file: Path) -> str:
    """A file's path from the root of its own repository; its name where it is in none."""
    whole = file.resolve()
    found = checkout(whole.parent)
    return found.relative(str(whole)) if found.root else whole.name
