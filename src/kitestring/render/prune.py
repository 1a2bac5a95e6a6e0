"""What a prune or a deletion did, as lines of text and as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kitestring.model.words import plural
from kitestring.render.backup import bytes_as_text, table_as_text, time_as_text

_GB = 1e9
_SHOWN = 10


def cost(size: int, price: float | None) -> float | None:
    """What bytes cost a month at a price for a GB (10^9 bytes); None without one."""
    return None if price is None else round(size / _GB * price, 6)


def prune_facts(result: Mapping[str, Any], price: float | None) -> dict[str, Any]:
    """The document of `--output json`, from a `PruneResult` as plain values."""
    facts = {"schema_version": 1, **result}
    if price is not None:
        facts["cost_per_month"] = cost(result["bytes"], price)
        facts["later_cost_per_month"] = cost(result["later_bytes"], price)
    return facts


def prune_as_text(result: Mapping[str, Any], price: float | None) -> str:
    """Each backup with the rules that keep it, or when it goes; then what is freed."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("backup", "what", "why"):
        table.add_column(column, overflow="fold", no_wrap=column == "backup")
    for row in _rows(result):
        table.add_row(*row)
    lines = [table_as_text(table)] if result["decisions"] else ["no backups"]
    would = "would be " if result["dry_run"] else ""
    lines.append(
        f"{plural(result['objects'], 'object')}, {_freed(result['bytes'], price)} {would}freed"
    )
    if result["later_objects"]:
        lines.append(
            f"{plural(result['later_objects'], 'object')}, {_freed(result['later_bytes'], price)} "
            "more when the grace period of what is marked is over"
        )
    return "\n".join([*lines, *_version_lines(result, price), *outcome_lines(result)])


def _version_lines(result: Mapping[str, Any], price: float | None) -> Iterator[str]:
    old = result["versions"]
    if old["deleted"]:
        would = "would be " if result["dry_run"] else ""
        yield (
            f"{plural(old['deleted'], 'old version')} of deleted objects, "
            f"{_freed(old['deleted_bytes'], price)} {would}freed"
        )
    if old["kept"]:
        why = f"; {old['locked']:,} of them refused: {old['why']}" if old["locked"] else ""
        yield (
            f"{plural(old['kept'], 'old version')} of deleted objects, "
            f"{_freed(old['kept_bytes'], price)} still in the bucket{why}"
        )


def outcome_lines(result: Mapping[str, Any]) -> list[str]:
    """What was refused, and what kept a part from being done."""
    refused = result["refused"]
    lines = [f"refused: {r['key']}: {r['why']}" for r in refused[:_SHOWN]]
    if len(refused) > _SHOWN:
        lines.append(f"and {len(refused) - _SHOWN} more")
    return [*lines, *result["problems"]]


def kept_facts(kept: Mapping[str, Any], problems: Sequence[str]) -> dict[str, Any]:
    """The document of `backup run --output json`, from a `Kept` as plain values."""
    return {"schema_version": 1, **kept, "problems": list(problems)}


def kept_as_text(facts: Mapping[str, Any]) -> str:
    """What `backup run` did, a line for each part; the problems last."""
    made, verified, pruned = facts["made"], facts["verified"], facts["pruned"]
    lines = []
    if made is not None:
        lines.append(
            f"{made['id']}: {made['rows']:,} rows, {bytes_as_text(made['copied_bytes'])} new of "
            f"{bytes_as_text(made['bytes'])}"
        )
    if verified is not None and not verified["problems"]:
        hashed = plural(verified["hashed"], "object")
        lines.append(f"verified ({verified['tier']}): {hashed} hashed")
    if pruned is not None:
        lines.append(
            f"pruned: {plural(len(pruned['marked']), 'backup')} marked, {len(pruned['removed'])} "
            f"removed; {plural(pruned['objects'], 'object')}, {bytes_as_text(pruned['bytes'])} "
            "freed"
        )
    return "\n".join([*lines, *facts["problems"]])


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    waiting = dict(result["waiting"])
    removed, marked = set(result["removed"]), set(result["marked"])
    for decision in result["decisions"]:
        id_, why = decision["id"], ", ".join(decision["rules"]) or "no rule keeps it"
        if id_ in removed:
            yield id_, "removed", "no rule keeps it, and its grace period is over"
        elif id_ in waiting:
            what = "marked now" if id_ in marked else "marked"
            yield id_, what, f"{why}; goes after {time_as_text(waiting[id_])}"
        elif decision["keep"]:
            yield id_, "kept, its mark taken away" if id_ in result["unmarked"] else "kept", why
        else:
            yield id_, "not removed", "the store refuses"


def _freed(size: int, price: float | None) -> str:
    money = cost(size, price)
    return bytes_as_text(size) + ("" if money is None else f" ({money:,.2f} a month)")
