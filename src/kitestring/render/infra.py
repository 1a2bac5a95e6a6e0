"""A comparison of manifests with a live cluster, as text like a diff, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kitestring.model.codec import to_plain
from kitestring.model.infra import ChangedObject, FieldChange, InfraSnapshot
from kitestring.model.words import plural
from kitestring.render.words import duration

SCHEMA_VERSION = 1


def diff_text(snapshot: InfraSnapshot) -> str:
    """One paragraph for each object that differs, and a summary; ends with a line feed."""
    lines = list(_lines(snapshot))
    lines.append(
        f"{plural(snapshot.objects, 'object')} compared with {snapshot.target} in "
        f"{duration(snapshot.seconds)}: {len(snapshot.missing)} missing, "
        f"{len(snapshot.changed)} changed, {len(snapshot.extra)} extra"
    )
    if snapshot.unseen:
        lines.append(f"not listed, for want of rights: {', '.join(snapshot.unseen)}")
    return "\n".join(lines) + "\n"


def diff_json(snapshot: InfraSnapshot) -> str:
    """The comparison as JSON text."""
    facts: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "same": snapshot.same,
        **to_plain(snapshot),
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _lines(snapshot: InfraSnapshot) -> Iterator[str]:
    for ref in snapshot.missing:
        yield f"+ {ref}"
        yield "    is not there"
        yield ""
    for one in snapshot.changed:
        yield f"~ {one.ref}"
        for change in one.changes:
            yield from _change(change)
        yield from _rejected(one)
        yield ""
    for extra in snapshot.extra:
        yield f"- {extra.ref}"
        made = f", made by {extra.manager} {extra.at}".rstrip() if extra.manager else ""
        yield f"    carries the deployment's label and is not part of it{made}"
        yield ""


def _change(change: FieldChange) -> Iterator[str]:
    who = f"  ({change.manager} {change.at})".replace(" )", ")") if change.manager else ""
    yield f"    {change.path}{who}"
    if change.observed:
        yield f"    - {change.observed}"
    if change.expected:
        yield f"    + {change.expected}"
    elif not change.declared:
        yield "      not in the spec: an apply leaves it alone"


def _rejected(one: ChangedObject) -> Iterator[str]:
    if one.rejected:
        yield f"    refused: {one.rejected}"
