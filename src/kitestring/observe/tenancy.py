"""Asks as each tenant for the others' rows, in the way that the spec keeps tenants apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from kitestring.clients.milvus.filters import among
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import CollectionNotLoaded
from kitestring.model.collection import CollectionInfo
from kitestring.model.snapshot import Snapshot
from kitestring.model.tally import EXAMPLES, Counter, Tally
from kitestring.model.tenancy import IsolationSeen, Leak
from kitestring.observe.canaries import Census, tenants_of, written
from kitestring.observe.labels import LabelCounter
from kitestring.observe.short_rows import of_all_rows
from kitestring.observe.tenant_users import try_users
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec
from kitestring.spec.proofs import IsolationProof
from kitestring.tenancy import ScopeRefused, tenant_filter

_KEYS = 1000  # asked for in one query
_VECTORS = 64  # of other tenants, searched for as one
_HITS = 10


def probe_tenancy(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds what asking as each tenant came to, for the collections whose spec wants it.

    Raises:
        MilvusError: the server could not be asked.
    """
    collections = dict(snapshot.collections)
    for spec in loaded.spec.collections:
        seen = collections.get(spec.name)
        if spec.isolation is not None and seen is not None:
            found = _isolation(loaded, milvus, spec, spec.isolation, seen.info)
            if spec.isolation.users:
                found = try_users(loaded, milvus, spec, spec.isolation, found)
            collections[spec.name] = replace(seen, isolation=found)
    return replace(snapshot, collections=collections)


def _isolation(
    loaded: LoadedSpec,
    milvus: Milvus,
    spec: CollectionSpec,
    proof: IsolationProof,
    info: CollectionInfo,
) -> IsolationSeen:
    if not info.loaded:
        return IsolationSeen(reason="the collection is not loaded")
    field = spec.fields.tenant_id
    if field is not None and info.schema.field(field) is None:
        if spec.tenancy != "partition":
            return IsolationSeen(reason=f"the collection has no field `{field}`")
        field = None
    try:
        if spec.tenancy == "partition":
            return _by_partition(milvus, spec, proof, info, field)
        if field is None:
            return IsolationSeen(reason="no field says whose a row is")
        if spec.tenancy in ("collection", "database"):
            return _of_one(loaded, milvus, proof, info, field)
        return _shared(loaded, milvus, spec, proof, info, field)
    except CollectionNotLoaded:
        return IsolationSeen(reason="the collection was released while it was asked")


def _shared(
    loaded: LoadedSpec,
    milvus: Milvus,
    spec: CollectionSpec,
    proof: IsolationProof,
    info: CollectionInfo,
    field: str,
) -> IsolationSeen:
    """A collection in which a filter keeps tenants apart."""
    key, vector = info.schema.primary.name, spec.fields.vector

    def taken(batches: Iterator[pa.RecordBatch]) -> Census:
        counted = Census(proof.canaries, info.name)
        for batch in batches:
            counted.add(batch.column(key).to_pylist(), batch.column(field).to_pylist())
        return counted

    census, until = of_all_rows(loaded, milvus, info, [key, field], taken)
    bare = [t for t in proof.tenants if t not in census.rows]
    found = IsolationSeen(tenants=census.rows, ownerless=census.ownerless.tally(), until=until)
    with written(milvus, info, field, bare if proof.write else []) as new:
        canaries = {**census.canaries(), **new}
        reason = "" if proof.write or not bare else f"no rows of {', '.join(bare)} to look for"
        try:
            scopes = {tenant: tenant_filter(tenant, field=field) for tenant in canaries}
        except ScopeRefused as error:
            return replace(found, reason=f"a tenant that can't be asked for: {error.message}")
        owners = {k: tenant for tenant, keys in canaries.items() for k in keys}
        vectors = {
            row[key]: row[vector]
            for chunk in _chunks(list(owners), _KEYS)
            for row in milvus.get(info.name, chunk, [key, vector])
        }
        leaks: list[Leak] = []
        questions = 0
        for tenant, scope in scopes.items():
            others = [k for k, owner in owners.items() if owner != tenant]
            for chunk in _chunks(others, _KEYS):
                asked = f"{scope} and ({among(key, chunk)})"
                rows = milvus.columnar.page(info.name, info.schema, [key], asked)
                leaks += _leaks(tenant, "a query", rows.column(key).to_pylist(), owners)
                questions += 1
            near = [vectors[k] for k in others[:_VECTORS] if k in vectors]
            if not near:
                continue
            answers = milvus.search(
                info.name,
                near,
                limit=_HITS,
                field=vector,
                params=spec.search.params,
                columns=[field],
                filter=scope,
            )
            strange = {
                hit.key: str(hit.fields.get(field))
                for hits in answers
                for hit in hits
                if str(hit.fields.get(field)) != tenant
            }
            leaks += _leaks(tenant, "a search", list(strange), strange)
            questions += len(near)
        if len(scopes) < 2:
            reason = reason or "there are no two tenants to ask for each other's rows"
        return replace(
            found,
            canaries=len(owners),
            written=sum(map(len, new.values())),
            questions=questions,
            leaks=tuple(leaks),
            reason=reason,
        )


def _by_partition(
    milvus: Milvus,
    spec: CollectionSpec,
    proof: IsolationProof,
    info: CollectionInfo,
    field: str | None,
) -> IsolationSeen:
    """A collection in which each tenant has a partition of its name."""
    key = info.schema.primary.name
    there = {p.name for p in info.partitions}
    tenants = [p for p in spec.partitions if p in there]
    rows: dict[str, int] = {}
    canaries: dict[str, list[str | int]] = {}
    leaks: list[Leak] = []
    for tenant in tenants:
        census = Census(proof.canaries, info.name)
        strange: dict[str, Counter] = {}
        for batch in tenants_of(milvus, info, field, tenant):
            keys = batch.column(key).to_pylist()
            owners = batch.column(field).to_pylist() if field else [tenant] * len(keys)
            census.add(keys, [tenant] * len(keys))
            for k, owner in zip(keys, owners, strict=True):
                if str(owner) != tenant:
                    strange.setdefault(str(owner), Counter()).add(str(k))
        rows[tenant] = census.rows.get(tenant, 0)
        canaries[tenant] = census.canaries().get(tenant, [])
        leaks += [
            Leak(tenant, owner, "reading its partition", counted.tally())
            for owner, counted in strange.items()
        ]
    ownerless = Counter()
    for batch in tenants_of(milvus, info, None, "_default"):
        for k in batch.column(key).to_pylist():
            ownerless.add(str(k))
    owners_of = {k: tenant for tenant, keys in canaries.items() for k in keys}
    questions = 0
    for tenant in tenants:
        others = [k for k, owner in owners_of.items() if owner != tenant]
        for chunk in _chunks(others, _KEYS):
            found = milvus.columnar.page(
                info.name, info.schema, [key], among(key, chunk), partition=tenant
            )
            leaks += _leaks(tenant, "a query", found.column(key).to_pylist(), owners_of)
            questions += 1
    missing = [p for p in spec.partitions if p not in there]
    empty = [t for t in tenants if not rows[t]]
    reason = f"no partition {', '.join(missing)}" if missing else ""
    if not reason and empty:
        reason = f"no rows of {', '.join(empty)} to look for"
    return IsolationSeen(
        rows,
        canaries=len(owners_of),
        questions=questions,
        leaks=tuple(leaks),
        ownerless=ownerless.tally(),
        reason=reason,
    )


def _of_one(
    loaded: LoadedSpec, milvus: Milvus, proof: IsolationProof, info: CollectionInfo, field: str
) -> IsolationSeen:
    """A collection all rows of which are one tenant's."""
    key, mine = info.schema.primary.name, proof.tenant or ""

    def taken(batches: Iterator[pa.RecordBatch]) -> LabelCounter:
        counted = LabelCounter()
        for batch in batches:
            counted.add(batch.column(field).cast(pa.string()), batch.column(key))
        return counted

    counted, until = of_all_rows(loaded, milvus, info, [key, field], taken)
    examples = counted.examples()
    tallies = {name: Tally(n, examples[name]) for name, n in counted.rows().items()}
    owned = {name: tally for name, tally in tallies.items() if name.strip()}
    bare = [tally for name, tally in tallies.items() if not name.strip()]
    return IsolationSeen(
        {name: tally.count for name, tally in owned.items()},
        questions=1,
        leaks=tuple(
            Leak(mine, owner, "reading its collection", tally)
            for owner, tally in owned.items()
            if owner != mine
        ),
        ownerless=Tally(
            sum(tally.count for tally in bare),
            tuple(key for tally in bare for key in tally.examples)[:EXAMPLES],
        ),
        until=until,
    )


def _leaks(
    asker: str, way: str, keys: Sequence[str | int], owners: dict[str | int, str]
) -> list[Leak]:
    counted: dict[str, Counter] = {}
    for k in keys:
        counted.setdefault(owners.get(k, "?"), Counter()).add(str(k))
    return [Leak(asker, owner, way, tally.tally()) for owner, tally in counted.items()]


def _chunks(items: Sequence[str | int], size: int) -> list[Sequence[str | int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
