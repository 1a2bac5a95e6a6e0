"""Isolation of tenants: nobody reads another's rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kitestring.checks.base import (
    COLLECTION_THERE,
    Pair,
    asked_by_collection,
    check,
    examples_text,
    pairs,
    rows_text,
)
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.model.tenancy import IsolationSeen
from kitestring.spec.loaded import LoadedSpec

_NOT_ASKED = IsolationSeen(reason="nobody was asked")


def isolation(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows of one tenant that another gets."""
    for pair, seen in _asked(loaded, snapshot):
        for leak in seen.leaks:
            yield Finding(
                "tenancy.isolation",
                Severity.FAIL,
                f"{pair.subject}/tenant/{leak.asker}",
                f"{rows_text(leak.rows.count)} of the tenant `{leak.owner}` came by {leak.way} as "
                f"`{leak.asker}`{examples_text(leak.rows.examples)}",
                expected=f"no row of `{leak.owner}` by {leak.way}",
                observed=rows_text(leak.rows.count),
                hint="stop serving the tenants, move the rows to where they belong, and ask only "
                "with `kitestring.tenancy.tenant_filter`",
                location=pair.locate("isolation"),
            )
        if seen.reason:
            yield _inconclusive(pair, "tenancy.isolation", seen.reason)


def ownerless(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows of no tenant: whoever asks with an empty scope gets them."""
    for pair, seen in _asked(loaded, snapshot):
        if seen.ownerless.count:
            yield Finding(
                "tenancy.ownerless",
                Severity.FAIL,
                f"{pair.subject}/tenant",
                f"{rows_text(seen.ownerless.count)} belong to no tenant"
                f"{examples_text(seen.ownerless.examples)}",
                expected="every row belongs to a tenant",
                observed=rows_text(seen.ownerless.count),
                hint="ingest them again with `--tenant`, or delete them",
                location=pair.locate("isolation"),
            )


def users(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Users of one tenant whom the server lets read another's."""
    for pair, seen in _asked(loaded, snapshot):
        if pair.spec.isolation is None or not pair.spec.isolation.users:
            continue
        for one in seen.opened:
            owner = f", which is of the tenant `{one.owner}`" if one.owner else ""
            yield Finding(
                "tenancy.access",
                Severity.FAIL,
                f"{pair.subject}/user/{one.user}",
                f"the user `{one.user}` of the tenant `{pair.spec.isolation.tenant}` could read "
                f"{one.what}{owner}",
                expected=f"{one.what}: permission denied",
                observed="rows were counted",
                hint="take the privilege away; is `common.security.authorizationEnabled` on?",
                location=pair.locate("isolation", "users"),
            )
        if seen.access_reason:
            yield _inconclusive(pair, "tenancy.access", seen.access_reason)


def _asked(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[tuple[Pair, IsolationSeen]]:
    for pair in pairs(loaded, snapshot):
        if pair.spec.isolation is not None:
            yield pair, pair.observed.isolation or _NOT_ASKED


def _inconclusive(pair: Pair, check: str, reason: str) -> Finding:
    return Finding(
        check,
        Severity.WARN,
        pair.subject,
        f"not every tenant could be asked for the others' rows: {reason}",
        expected="each tenant asked",
        observed="not all",
        hint="mend what the reason says, and run this again",
        location=pair.locate("isolation"),
        inconclusive=True,
    )


_check = partial(
    check,
    evidence=Evidence.TENANCY,
    requires=(COLLECTION_THERE,),
    unasked=asked_by_collection("isolation"),
)

CHECKS = (
    _check(
        "tenancy.isolation",
        "No tenant gets another's rows",
        isolation,
        meaning="Rows of each tenant (chosen by the hash of their keys, or written where the spec "
        "asks for that) are searched and queried for as each other tenant, with the filter that "
        "clients should use; or the rows of a tenant's partition or collection are another's. "
        "What came is named. A tenant without rows to look for is inconclusive. Left out of specs "
        "in which no collection has `isolation`.",
        cause="Rows were written into another tenant's partition or collection, or the server "
        "answers a filter with rows that do not match it.",
        mend="Move the rows. Clients build their filters with `kitestring.tenancy`, which refuses "
        "an empty scope.",
    ),
    _check(
        "tenancy.ownerless",
        "Every row belongs to a tenant",
        ownerless,
        meaning="Rows have an empty tenant, or are in the partition `_default`. A client that "
        "fails to name its tenant gets them, and nobody else does.",
        cause="They were ingested without a tenant.",
        mend="Ingest them with their tenant, or delete them.",
    ),
    _check(
        "tenancy.access",
        "Users of a tenant can't read what is another's",
        users,
        meaning="Users that the spec gives to a tenant log in with their own passwords and try to "
        "count the rows of other tenants' collections, or of other databases. One of them was not "
        "refused. A password that can't be read is inconclusive.",
        cause="A grant on `*`, a role that is too wide, or a server without authorization.",
        mend="Narrow the role; `access.widened` names what it may do beyond the spec.",
    ),
)
