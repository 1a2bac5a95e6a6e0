"""A collection with its partitions and load state, a role with what it may do: kept as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kitestring.enforce.objects import KeptObject, keep_object
from kitestring.objects.base import Props
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
    """
    kept = [keep_object(loaded, "collection", named, present=present, **options)]
    if present:
        of = {"collection": named["name"], "database": named.get("database")}
        kept += [
            keep_object(loaded, "partition", {**of, "name": name}, **options) for name in partitions
        ]
        if in_memory is not None or replicas is not None:
            state = {"loaded": in_memory is not False, "replicas": replicas}
            kept.append(keep_object(loaded, "load state", {**of, **state}, **options))
    return _together(kept)


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
        return _together(
            [
                keep_object(loaded, kind, props, present=False, **options)
                for kind, props in (("grant", may), ("role", role))
            ]
        )
    made = keep_object(loaded, "role", role, **options)
    if options.get("dry_run") and made.before is None:
        return _together([made, KeptObject("grant", name, None, {"grants": list(grants or ())})])
    granted = keep_object(loaded, "grant", may, **options)
    return _together([made, granted])


def _together(kept: Sequence[KeptObject]) -> KeptObject:
    """Several objects as the first one, with what the others add to it."""
    first, *others = kept
    return KeptObject(
        first.kind,
        first.identity,
        _joined(first.kind, ((k.kind, k.before) for k in kept)),
        _joined(first.kind, ((k.kind, k.after) for k in kept)),
        (
            *first.differences,
            *(f"{k.kind} {k.identity}: {d}" for k in others for d in k.differences),
        ),
    )


def _joined(kind: str, parts: Iterable[tuple[str, Props | None]]) -> Props | None:
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
