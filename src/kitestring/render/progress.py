"""A progress bar on stderr, on a terminal only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from kitestring.model.ingest import Progress
from kitestring.model.reembed import CopyProgress


@contextmanager
def ingest_progress(
    *, quiet: bool = False, console: Console | None = None
) -> Iterator[Callable[[Progress], None] | None]:
    """Gives the callback to be told of progress, or None where no bar is to be shown."""
    told = "documents  {task.fields[rows]:,} rows  {task.fields[rate]:,.0f} rows/s"
    with _bar(told, quiet, console) as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task("ingest", total=None, rows=0, rate=0.0)
        start = time.monotonic()

        def show(now: Progress) -> None:
            seconds = max(time.monotonic() - start, 1e-3)
            bar.update(
                task,
                completed=now.documents,
                total=now.documents_total,
                rows=now.rows,
                rate=now.rows / seconds,
            )

        yield show


@contextmanager
def copy_progress(
    *, quiet: bool = False, console: Console | None = None
) -> Iterator[Callable[[CopyProgress], None] | None]:
    """The same for the copy of a re-embedding, in rows."""
    with _bar("rows  {task.fields[embedded]:,} embedded", quiet, console) as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task("copy", total=None, embedded=0)

        def show(now: CopyProgress) -> None:
            bar.update(task, completed=now.seen, total=now.total, embedded=now.embedded)

        yield show


@contextmanager
def _bar(told: str, quiet: bool, console: Console | None) -> Iterator[Bar | None]:
    """A bar that tells `told` beside its numbers; None where nobody would see it."""
    console = console or Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(
        *columns, TextColumn(told), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        yield bar
