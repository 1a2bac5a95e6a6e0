"""Sign-offs in text and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kitestring.model.signoff import SignOff
from kitestring.model.words import plural
from kitestring.render.words import printable, when
from kitestring.stats.power import seen_with
from kitestring.stats.rank import limit


def sign_off_text(made: SignOff, rows: int) -> str:
    """What was signed off, and what a check of `rows` rows will be good for."""
    return "\n".join(_lines(made, rows)) + "\n"


def sign_off_facts(made: SignOff, rows: int) -> dict[str, Any]:
    """The same as plain values, without the arrays."""
    checked = min(rows, made.population)
    needed = limit(checked, len(made.cosines))
    return {
        "cluster": made.cluster,
        "collection": made.collection,
        "model": made.fingerprint.label,
        "provider": made.fingerprint.provider,
        "dimension": made.fingerprint.dimension,
        "normalize": made.fingerprint.normalize,
        "parameters": dict(made.fingerprint.parameters),
        "probes": made.fingerprint.probes,
        "signed_at": made.signed_at,
        "seed": made.seed,
        "population": made.population,
        "rows": len(made.cosines),
        "tau": made.tau,
        "repeatability": made.repeatability,
        "accepted": list(made.accepted),
        "check": {
            "rows": checked,
            "fails_at": needed,
            "sees_with_99": None if needed is None else seen_with(checked, needed),
        },
    }


def sign_offs_json(made: list[SignOff], rows: list[int]) -> str:
    """All sign-offs as JSON text."""
    facts = [sign_off_facts(one, n) for one, n in zip(made, rows, strict=True)]
    return json.dumps({"schema_version": 1, "sign_offs": facts}, indent=2) + "\n"


def _lines(made: SignOff, rows: int) -> Iterator[str]:
    cosines, facts = made.cosines, sign_off_facts(made, rows)
    yield f"{made.collection}: signed off for {made.fingerprint.label}, {when(made.signed_at)}"
    yield f"  rows     {len(cosines):,} of {made.population:,}, embedded again"
    yield f"  cosines  lowest {made.tau:.6f}, median {cosines[len(cosines) // 2]:.6f}"
    exact = made.repeatability >= 1 - 1e-6
    twice = "the same vector" if exact else f"cosines down to {made.repeatability:.6f}"
    yield f"  model    a text embedded twice: {twice}"
    check = facts["check"]
    if check["fails_at"] is None:
        yield f"  power    a check of {plural(check['rows'], 'row')} can prove nothing: too few"
    else:
        seen = check["sees_with_99"]
        sees = "" if seen is None else f", and sees {seen:.1%} bad rows with 99%"
        yield (
            f"  power    a check of {plural(check['rows'], 'row')} fails at "
            f"{check['fails_at']:,} below{sees}"
        )
    for doubt in made.accepted:
        yield f"  ACCEPTED {printable(doubt)}"
