"""What stands against a deployment, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kitestring.model.finding import Severity
from kitestring.model.problem import Problem

SCHEMA_VERSION = 1


def problems_text(problems: Sequence[Problem], target: str) -> str:
    """A paragraph for each problem, and a summary; ends with a line feed."""
    lines = []
    for one in problems:
        word = "not known" if one.inconclusive else one.severity.value
        lines.append(f"{word}  {one.check}  {one.message}")
        if one.hint:
            lines.append(f"  hint: {one.hint}")
        if one.location is not None:
            lines.append(f"  spec: {one.location}")
        lines.append("")
    failed = sum(_failed(p) for p in problems)
    open_ = sum(p.inconclusive for p in problems)
    said = f"{failed} in the way" if failed else "nothing in the way"
    lines.append(f"preflight of {target}: {said}" + (f", {open_} not known" if open_ else ""))
    return "\n".join(lines) + "\n"


def problems_json(problems: Sequence[Problem], target: str) -> str:
    """The problems as JSON text."""
    facts = {
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "exit_code": exit_code(problems),
        "problems": [one.as_dict() for one in problems],
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def exit_code(problems: Sequence[Problem]) -> int:
    """2 something is in the way, 3 something could not be looked at, 0 neither."""
    if any(_failed(p) for p in problems):
        return 2
    return 3 if any(p.inconclusive for p in problems) else 0


def _failed(problem: Problem) -> bool:
    return problem.severity is Severity.FAIL and not problem.inconclusive
