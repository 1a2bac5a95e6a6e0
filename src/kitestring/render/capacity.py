"""A capacity plan as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from kitestring.capacity.calibration import (
    CALIBRATION,
    CHECKED,
    MEASURED,
    SERVER,
    calibration_text,
    worst_error,
)
from kitestring.capacity.result import SCHEMA_VERSION, CapacityPlan
from kitestring.model.codec import to_plain
from kitestring.render.words import data_size

Row = Sequence[str]


def plan_json(plan: CapacityPlan) -> str:
    """The plan with its `schema_version`."""
    return json.dumps(plan.as_dict(), indent=2) + "\n"


def plan_text(plan: CapacityPlan) -> str:
    """What `kitestring capacity plan` prints."""
    parts = [_title(plan), *(_aligned(rows) for rows in _tables(plan))]
    parts += ["\n".join(lines) for lines in _lists(plan)]
    return "\n\n".join(parts) + "\n"


def plan_markdown(plan: CapacityPlan) -> str:
    """The plan for a review: tables, and lists of what stands against it."""
    parts = [f"### {_title(plan)}"]
    for head, *rows in _tables(plan):
        lines = [_cells(head), _cells([":--" if i == 0 else "--:" for i in range(len(head))])]
        parts.append("\n".join([*lines, *map(_cells, rows)]))
    for head, *lines in _lists(plan):
        parts.append("\n".join([head, "", *(f"- {line.strip()}" for line in lines)]))
    return "\n\n".join(parts) + "\n"


def calibration_table() -> str:
    """Every measured collection: what it took, what the plan says, and the error."""
    rows: list[Row] = [("collection", "took", "planned", "error")]
    rows += [
        (m.name, f"{m.mebibytes} MiB", f"{CALIBRATION.of(m) / 2**20:.0f} MiB",
         f"{CALIBRATION.error(m):+.0%}")
        for m in (*MEASURED, *CHECKED)
    ]  # fmt: skip
    factors = (
        f"loaded = {CALIBRATION.index_factor:g} x index + {CALIBRATION.row_bytes:g} bytes x rows "
        f"+ {CALIBRATION.scalar_factor:g} x scalar fields"
    )
    return f"{_aligned(rows)}\n\n{factors}\n{calibration_text()}\n"


def calibration_json() -> str:
    """The same as JSON."""
    measured = [
        {
            "collection": m.name,
            "took": m.mebibytes * 2**20,
            "planned": round(CALIBRATION.of(m)),
            "error": round(CALIBRATION.error(m), 4),
        }
        for m in (*MEASURED, *CHECKED)
    ]
    data = {
        "schema_version": SCHEMA_VERSION,
        "server": SERVER,
        "factors": to_plain(CALIBRATION),
        "worst_error": round(worst_error(), 4),
        "measured": measured,
    }
    return json.dumps(data, indent=2) + "\n"


def _cells(row: Row) -> str:
    return f"| {' | '.join(row)} |"


def _title(plan: CapacityPlan) -> str:
    verdict = {True: "fits", False: "does not fit", None: "not known"}[plan.fits]
    if not plan.roles:
        return f"capacity of {plan.cluster}"
    return (
        f"capacity of {plan.cluster}: {verdict} (rows grow by {plan.growth:.0%}, "
        f"{plan.headroom:.0%} of a query node's memory stays free)"
    )


def _tables(plan: CapacityPlan) -> Iterator[list[Row]]:
    yield [
        ("collection", "rows", "grown", "dim", "index", "replicas", "one replica", "fullest node",
         "stored"),
        *(
            (
                n.name, _count(n.rows), _count(n.grown), _count(n.dimension), n.index or "-",
                str(n.replicas) if n.replicas else "not loaded",
                _size(n.memory), _size(n.share), _size(n.stored),
            )
            for n in plan.collections
        ),
    ]  # fmt: skip
    if plan.roles:
        yield [
            ("role", "pods", "in use", "memory", "cpu", "from"),
            *(
                (
                    r.role, str(r.pods), _size(r.needed or None),
                    (r.given or r.recommended).memory, (r.given or r.recommended).cpu,
                    f"the spec; recommended {r.recommended.memory}" if r.given else "this plan",
                )
                for r in plan.roles
            ),
        ]  # fmt: skip
    if plan.volumes:
        yield [
            ("volumes of", "pods", "needed", "there is", "for"),
            *(
                (v.component, str(v.pods), _size(v.needed), _size(v.given), v.why)
                for v in plan.volumes
            ),
        ]


def _lists(plan: CapacityPlan) -> Iterator[list[str]]:
    """Lists of lines; the first line of each is its head."""
    if plan.reasons:
        yield ["does not fit:", *(f"  {r}" for r in plan.reasons)]
    if plan.unknown:
        yield [
            "rows are not known, and neither is what they take (say `rows: N` at the collection, "
            "or --rows COLLECTION=N):",
            *(f"  {name}" for name in plan.unknown),
        ]
    notes = list(plan.notes)
    if plan.query_nodes_needed is not None:
        notes.append(f"query nodes that would hold everything: {plan.query_nodes_needed}")
    assumed = [f"  {n.name}: {'; '.join(n.assumed)}" for n in plan.collections if n.assumed]
    if assumed:
        yield ["assumed:", *assumed]
    if plan.calibration:
        notes.append(plan.calibration)
    yield ["notes:", *(f"  {note}" for note in notes)]


def _aligned(rows: Sequence[Row]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _size(number: int | None) -> str:
    return "-" if number is None else data_size(number)
