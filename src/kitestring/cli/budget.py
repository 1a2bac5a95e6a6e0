"""The options that limit what a backup or restore takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kitestring.cli.common import Number

if TYPE_CHECKING:
    from kitestring.spec.backup import Budget
    from kitestring.spec.loaded import LoadedSpec

F = TypeVar("F", bound=Callable[..., Any])
_LEAST = 1024  # bytes per second


class Bytes(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A number of bytes: `500000`, `10MiB`, `10Mi`, `10MB`."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from kitestring.model.quantity import parse_bytes

        if isinstance(value, int):
            return value
        try:
            found = parse_bytes(str(value).strip().removesuffix("B"))
        except ValueError:
            self.fail(f"`{value}` is no number of bytes, such as 500000, 10MiB or 2GB", param, ctx)
        if found < _LEAST:
            self.fail(f"`{value}` is less than {_LEAST} bytes", param, ctx)
        return found


def budget_options(function: F) -> F:
    """`--max-bytes-per-second` and `--max-requests-per-second`; see `budget_of`."""
    function = click.option(
        "--max-requests-per-second",
        type=Number(min=0, min_open=True),
        metavar="N",
        help="Requests to the object stores  [default: the spec's]",
    )(function)
    return click.option(
        "--max-bytes-per-second",
        type=Bytes(),
        metavar="SIZE",
        help="Bytes copied, such as 10MiB  [default: the spec's]",
    )(function)


def budget_of(loaded: LoadedSpec, max_bytes: int | None, max_requests: float | None) -> Budget:
    """The spec's budget, with what the options say instead."""
    from kitestring.spec.backup import Budget

    budget = loaded.spec.backup.budget if loaded.spec.backup else Budget()
    said = {"max_bytes_per_second": max_bytes, "max_requests_per_second": max_requests}
    return budget.model_copy(update={k: v for k, v in said.items() if v is not None})
