"""The options of the verbs that print a drift report, and where each format goes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kitestring.cli.common import note
from kitestring.render.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kitestring.model.report import DriftReport

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Destinations:
    """The formats of one report, each with its file; None is stdout."""

    formats: tuple[tuple[str, Path | None], ...]

    def write(self, report: DriftReport) -> None:
        """Writes every format. A file is there whole or not at all.

        Raises:
            StoreError: a file can't be written.
        """
        from kitestring.clients.repository import checkout
        from kitestring.clients.textfile import write_whole
        from kitestring.render.formats import rendered_drift, write_drift

        here = checkout()
        for output, file in self.formats:
            if file is not None:
                write_whole(file, rendered_drift(report, output, here))
                note(f"wrote {file}")
        for output, file in self.formats:
            if file is None:
                write_drift(report, output, sys.stdout, here)


def report_options(function: F) -> F:
    """`--output FORMAT[=FILE]`, which may be repeated, and `--out FILE`; the verb gets `outputs`
    and `out`, to be given to `destinations`."""
    function = click.option(
        "--out", metavar="FILE", help="Write the report to a file instead of stdout"
    )(function)
    return click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        metavar="FORMAT[=FILE]",
        help=f"Format on stdout or in a file; may be repeated: {', '.join(FORMATS)}"
        "  [default: text]",
    )(function)


def destinations(outputs: tuple[str, ...], out: str | None) -> Destinations:
    """Where the formats go, looked at before anything is observed.

    Raises:
        click.UsageError: a format that is not known, two on stdout, two in one file.
        StoreError: a file could not be written.
    """
    from kitestring.clients.textfile import require_writable

    named: list[tuple[str, Path | None]] = []
    for text in outputs or ("text",):
        output, equals, file = text.partition("=")
        if output not in FORMATS:
            raise click.UsageError(_unknown(output))
        if equals and not file:
            raise click.UsageError(f"`--output {text}` names no file after the `=`")
        named.append((output, Path(file) if file else None))
    bare = [output for output, file in named if file is None]
    if len(bare) > 1:
        raise click.UsageError(
            f"only one format can go to stdout, and these would: {', '.join(bare)}; "
            f"give the others a file: --output {bare[1]}=FILE"
        )
    if out is not None:
        if not bare:
            raise click.UsageError("every --output has a file: there is nothing left for --out")
        named = [(output, file or Path(out)) for output, file in named]
    files = [file for _, file in named if file is not None]
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice is not None:
        raise click.UsageError(f"two formats would be written to {twice}")
    for path in files:
        require_writable(path)
    return Destinations(tuple(named))


def _unknown(output: str) -> str:
    from kitestring.spec.problems import nearest

    near = nearest(output, FORMATS)
    meant = f"; did you mean `{near}`?" if near else ""
    return f"there is no format `{output}`: {', '.join(FORMATS)}{meant}"
