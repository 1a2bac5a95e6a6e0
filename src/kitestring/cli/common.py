"""What the verbs share: the spec option, the output option, exit codes."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kitestring.errors import UsageError
from kitestring.spec.find import default_spec, named_spec

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A duration, such as `90s`, `10m` or `0s`; in seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        from kitestring.spec.types import parse_duration

        try:
            return value if isinstance(value, float) else parse_duration(value)
        except ValueError as error:
            self.fail(f"`{value}`: {error}", param, ctx)


class Number(click.FloatRange):
    """A number of a range that is one: `nan` is within no limits, and passes all of them."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"`{value}` is no number.", param, ctx)
        return number


def find_spec(path: str | None) -> Path:
    """The spec file to use: the flag, `KITESTRING_SPEC`, `kitestring.yaml`, the demo's.

    Raises:
        SpecNotFound: none of them is there.
    """
    named = named_spec(path)
    if named is not None:
        return named
    found = default_spec()
    note(f"using the spec {found}")
    return found


def spec_option(function: F) -> F:
    """`--spec FILE`; the verb gets `spec_file`, to be given to `load_spec`."""
    return click.option(
        "--spec",
        "spec_file",
        metavar="FILE",
        help="Spec of the cluster  [default: $KITESTRING_SPEC, ./kitestring.yaml, "
        "./infra/clusters/local.yaml]",
    )(function)


def kube_options(function: F) -> F:
    """`--context NAME` and `--kubeconfig FILE`: which Kubernetes cluster."""
    function = click.option(
        "--kubeconfig", metavar="FILE", help="Kubeconfig  [default: the spec's, $KUBECONFIG]"
    )(function)
    return click.option(
        "--context", metavar="NAME", help="Its context  [default: the spec's, the current one]"
    )(function)


def output_option(*formats: str) -> Callable[[F], F]:
    """`--output FORMAT`; the first format is the default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Format on stdout",
    )


def load_spec(spec_file: str | None) -> Any:
    """The loaded spec of the `--spec` option (see `find_spec`)."""
    from kitestring.spec.load import load

    return load(find_spec(spec_file))


def note(text: str) -> None:
    """A line on stderr, unless `--quiet`."""
    context = click.get_current_context(silent=True)
    if not (context and (context.find_root().obj or {}).get("quiet")):
        with contextlib.suppress(OSError):  # a full disk under a log stops no work
            click.echo(text, err=True)


def typed(question: str, wanted: str) -> None:
    """Asks for a word that is not typed by accident.

    Raises:
        UsageError: another one was typed, or nobody is there to ask.
    """
    try:
        answer = click.prompt(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise UsageError(
            "nobody can be asked here, and nothing was changed", hint="--yes goes on unasked"
        ) from None
    if answer.strip() != wanted:
        raise UsageError(
            f"`{answer.strip()}` is not `{wanted}`: nothing was changed", hint="type it as it is"
        )
