"""A collection with its partitions and load state, a role with what it may do: kept as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from kitestring.enforce.objects import KeptObject, keep_object, with_declared
from kitestring.errors import KitestringError, ProvisionRefused, UsageError
from kitestring.objects.base import Props
from kitestring.objects.indexes import unindexed
from kitestring.objects.kinds import KINDS
from kitestring.spec.loaded import LoadedSpec


def keep_collection(
    loaded: LoadedSpec,
    named: Props,
    *,
    partitions: Sequence[str] = (),
    in_memory: bool | None = None,
    replicas: int | None = None,
    present: bool = True,
    **options: Any,
) -> KeptObject:
    """Keeps a collection; see `keep_object` for `named`, `options` and what is raised.

    Args:
        partitions: partitions that have to be there; others are left alone.
        in_memory: whether it is loaded; None leaves that as it is.
        replicas: copies in memory; None leaves that as it is.

    Raises:
        UsageError: it is to have replicas, and not to be loaded.
    """
    if present and in_memory is False and replicas is not None:
        raise UsageError(
            f"`{named['name']}` can't have {replicas} replicas and not be loaded",
            hint="leave `replicas` out, or load it",
            subject=str(named["name"]),
        )
    loading = present and (in_memory or replicas is not None)
    if loading and not options.get("dry_run"):
        foretold = keep_object(loaded, "collection", named, **{**options, "dry_run": True})
        if foretold.before is None:
            raise ProvisionRefused(
                unindexed(str(named["name"])),
                hint="make the collection, then its index, and then load it",
                subject=foretold.identity,
            )
    kept = [keep_object(loaded, "collection", named, present=present, **options)]
    if present:
        of = {"collection": named["name"], "database": named.get("database")}
        kept += [
            keep_object(loaded, "partition", {**of, "name": name}, **options) for name in partitions
        ]
        if in_memory is not None or replicas is not None:
            state = {"loaded": in_memory is not False, "replicas": replicas}
            kept.append(keep_object(loaded, "load state", {**of, **state}, **options))
    together = _together(kept)
    if loading and together.before is None:
        told = (*together.warnings, unindexed(str(named["name"])))
        return replace(together, warnings=told)
    return together


def keep_role(
    loaded: LoadedSpec,
    name: str,
    grants: Sequence[Props] | None,
    *,
    database: str | None = None,
    present: bool = True,
    **options: Any,
) -> KeptObject:
    """Keeps a role and, in one database, all of its grants; see `keep_object`.

    Args:
        grants: each with `object`, `name` and `privileges`; others are taken away. None for those
            of the spec, or, where the spec has no such role, for leaving them alone.
    """
    role, may = {"name": name}, {"role": name, "database": database, "grants": grants}
    if not present:  # a server does not drop a role that may still do something
        keep_object(loaded, "role", role, present=False, **{**options, "dry_run": True})
        granted = keep_object(loaded, "grant", may, present=False, **options)
        return _together([keep_object(loaded, "role", role, present=False, **options), granted])
    made = keep_object(loaded, "role", role, **options)
    if options.get("dry_run") and made.before is None:
        return _together([made, _foretold(loaded, may)])
    try:
        return _together([made, keep_object(loaded, "grant", may, **options)])
    except KitestringError:
        if made.before is None:  # a role with half of its rights is worse than none
            keep_object(loaded, "role", role, present=False, **options)
        raise


def _foretold(loaded: LoadedSpec, may: Props) -> KeptObject:
    """What a role may do that is not there yet."""
    given = {key: value for key, value in may.items() if value is not None}
    given.setdefault("database", loaded.spec.connection.database)
    wanted = {"grants": [], **with_declared(loaded, KINDS["grant"], given)}
    shown = {key: wanted[key] for key in ("database", "role", "grants")}
    return KeptObject("grant", KINDS["grant"].identity(wanted), None, shown)


def _together(kept: Sequence[KeptObject]) -> KeptObject:
    """Several objects as the first one, with what the others add to it; of one that was not there,
    nothing was there before."""
    first, *others = kept
    new = first.before is None and first.after is not None
    return KeptObject(
        first.kind,
        first.identity,
        None if new else _joined((k.kind, k.before) for k in kept),
        _joined((k.kind, k.after) for k in kept),
        first.differences
        if new
        else (
            *first.differences,
            *(f"{k.kind} {k.identity}: {d}" for k in others for d in k.differences),
        ),
        first.warnings if new else tuple(w for k in kept for w in k.warnings),
    )


def _joined(parts: Iterable[tuple[str, Props | None]]) -> Props | None:
    joined: dict[str, Any] = {}
    partitions = []
    for part, props in parts:
        if props is None:
            continue
        if part == "partition":
            partitions.append(props["name"])
        else:
            joined |= {k: v for k, v in props.items() if k not in ("collection", "role")}
    if partitions:
        joined["partitions"] = partitions
    return joined or None
