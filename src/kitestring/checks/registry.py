"""All checks, in the order in which they are told, and how to choose among them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from kitestring.checks import (
    access,
    alias,
    backup,
    canary,
    capacity,
    config,
    content,
    corpus,
    encoder,
    groups,
    index,
    index_memory,
    index_recall,
    index_rows,
    infra,
    labels,
    load,
    reembed,
    retention,
    retrieval,
    rows,
    schedule,
    schema,
    settings,
    suppressions,
    tenancy,
    unfinished,
    vectors,
)
from kitestring.checks.base import Check
from kitestring.errors import UsageError
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.problems import Problem, refuse

CHECKS: tuple[Check, ...] = (
    *schema.CHECKS,
    *index.CHECKS,
    *index_rows.CHECKS,
    *index_memory.CHECKS,
    *index_recall.CHECKS,
    *load.CHECKS,
    *groups.CHECKS,
    *alias.CHECKS,
    *rows.CHECKS,
    *unfinished.CHECKS,
    *corpus.CHECKS,
    *labels.CHECKS,
    *canary.CHECKS,
    *vectors.CHECKS,
    *encoder.CHECKS,
    *content.CHECKS,
    *config.CHECKS,
    *settings.CHECKS,
    *retrieval.CHECKS,
    *capacity.CHECKS,
    *tenancy.CHECKS,
    *access.CHECKS,
    *reembed.CHECKS,
    *backup.CHECKS,
    *retention.CHECKS,
    *schedule.CHECKS,
    *infra.CHECKS,
    *suppressions.CHECKS,
)
BY_ID = {check.id: check for check in CHECKS}
FAMILIES = tuple(dict.fromkeys(check.info.family for check in CHECKS))


def select(only: Sequence[str] = ()) -> tuple[Check, ...]:
    """The checks that `only` names, and those that they require; all where it is empty.

    Args:
        only: ids (`index.drift`) or families (`index`, `index.*`).

    Raises:
        UsageError: a name is neither.
    """
    if not only:
        return CHECKS
    chosen: set[str] = set()
    for name in only:
        family = name.removesuffix(".*")
        if name in BY_ID:
            chosen.add(name)
        elif family in FAMILIES:
            chosen |= {check.id for check in CHECKS if check.info.family == family}
        else:
            raise _unknown(name)
    # what is required requires nothing that it does not itself name
    needed = {name for one in chosen for name in BY_ID[one].requires}
    return tuple(check for check in CHECKS if check.id in chosen | needed)


def find(name: str) -> Check:
    """The check of an id.

    Raises:
        UsageError: there is none.
    """
    if name not in BY_ID:
        raise _unknown(name)
    return BY_ID[name]


def spec_problems(loaded: LoadedSpec) -> list[Problem]:
    """What is wrong with a valid spec where it names checks."""
    return list(suppressions.problems(loaded, BY_ID))


def refuse_unknown(loaded: LoadedSpec) -> None:
    """Refuses a spec that names checks which there are not.

    Raises:
        SpecInvalid: the message names each with its line.
    """
    found = spec_problems(loaded)
    if found:
        raise refuse(loaded.file, found)


def _unknown(name: str) -> UsageError:
    near = difflib.get_close_matches(name, [*BY_ID, *FAMILIES], n=1)
    meant = f"did you mean `{near[0]}`? " if near else ""
    return UsageError(
        f"there is no check or family of checks `{name}`",
        hint=f"{meant}`kitestring checks list` lists them",
        subject=name,
    )
