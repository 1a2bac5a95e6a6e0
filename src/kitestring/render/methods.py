"""Which backup methods are proven, as a table and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kitestring.model.codec import to_plain
from kitestring.model.method import Evidence
from kitestring.render.backup import table_as_text, time_as_text


def methods_as_text(found: Sequence[Evidence]) -> str:
    """The table of `kitestring backup methods`."""
    if not found:
        return (
            "no drill has been run yet: no method is proven, `auto` is logical\n"
            "hint: kitestring backup create --method physical && kitestring drill run"
        )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("server", "method", "proven"):
        table.add_column(column)
    for column in ("passed", "failed"):
        table.add_column(column, justify="right")
    for column in ("newest drill", "newest that passed"):
        table.add_column(column)
    for one in found:
        table.add_row(
            one.version,
            one.method,
            "yes" if one.proven else "no",
            f"{one.passed} ({one.sampled} of a sample)" if one.sampled else str(one.passed),
            str(one.failed),
            time_as_text(one.newest),
            time_as_text(one.newest_passed),
        )
    return table_as_text(table)


def methods_as_json(found: Sequence[Evidence]) -> dict[str, Any]:
    """The same with `schema_version`."""
    plain = [{**to_plain(one), "proven": one.proven} for one in found]
    return {"schema_version": 1, "methods": plain}
