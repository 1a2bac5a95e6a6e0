"""What a rule is, and how rules are applied to a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from kitestring.provision.policy.resource import Resource
from kitestring.spec.models import Spec

Level = Literal["mandatory", "advisory"]
LEVELS: tuple[Level, ...] = ("mandatory", "advisory")


@dataclass(frozen=True, slots=True)
class Context:
    """What rules know beside the resources. `problem` says why there is no spec."""

    spec: Spec | None = None
    problem: str = "the pack's configuration names no spec"


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and for what."""

    rule: str
    message: str
    resource: Resource | None = None  # None: the stack as a whole


ResourceCheck = Callable[[Resource, Context], Iterator[str]]
StackCheck = Callable[[tuple[Resource, ...], Context], Iterator[tuple[Resource | None, str]]]


@dataclass(frozen=True, slots=True)
class ResourceRule:
    """Looks at one resource, before it is made."""

    id: str
    description: str
    check: ResourceCheck
    level: Level = "mandatory"
    reads_spec: bool = False


@dataclass(frozen=True, slots=True)
class StackRule:
    """Looks at all resources of a stack together."""

    id: str
    description: str
    check: StackCheck
    level: Level = "mandatory"
    reads_spec: bool = False


Rule = ResourceRule | StackRule


def violations(
    rules: Iterable[Rule], resources: Iterable[Resource], context: Context
) -> list[Violation]:
    """Every violation of every rule, in the order of the rules."""
    stack = tuple(resources)
    found: list[Violation] = []
    for rule in rules:
        if isinstance(rule, StackRule):
            found += [Violation(rule.id, m, r) for r, m in rule.check(stack, context)]
        else:
            found += [Violation(rule.id, m, r) for r in stack for m in rule.check(r, context)]
    return found
