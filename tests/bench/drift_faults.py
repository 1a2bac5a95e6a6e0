"""The faults that the bench of drift detection plants. Each puts back what it did.

To add one, write a generator that plants, yields what there is to find, and undoes:

    @fault("what it is called", "id.of-the-check")
    def name(site, n):
        ...                     # plant n of them
        yield Planted(n)
        ...                     # undo

A fault whose check the spec has nothing for is told as such and left out.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from kitestring.backup.catalog import open_catalog
from kitestring.clients.embedder import make_embedder
from kitestring.clients.milvus.client import wait_until
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.write import content_hash
from kitestring.model.access import Privilege
from kitestring.model.collection import Index
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import HashingOptions
from tests.bench.drift_site import TENANT, Site


@dataclass(frozen=True)
class Planted:
    """How much there is to find, and the spec to find it with where that is not the site's."""

    count: int
    loaded: LoadedSpec | None = None


@dataclass(frozen=True)
class Fault:
    """`along` names the checks that rightly speak up beside the one that has to."""

    name: str
    check: str
    plant: Callable[[Site, int], Iterator[Planted]]
    rows: bool  # counted by rows or documents, not by findings
    along: tuple[str, ...]


FAULTS: list[Fault] = []
Plant = Callable[[Site, int], Iterator[Planted]]


def fault(
    name: str, check: str, *, rows: bool = True, along: tuple[str, ...] = ()
) -> Callable[[Plant], Plant]:
    """Enters a fault into `FAULTS`."""

    def enter(plant: Plant) -> Plant:
        FAULTS.append(Fault(name, check, plant, rows, along))
        return plant

    return enter


# --- rows


@fault("missing rows", "rows.missing")
def missing(site: Site, n: int) -> Iterator[Planted]:
    rows = site.pick(n)
    site.remove([row["id"] for row in rows])
    yield Planted(n)
    site.change(rows)


@fault("orphan rows", "rows.orphan")
def orphan(site: Site, n: int) -> Iterator[Planted]:
    rows = []
    for row in site.pick(n):
        key = uuid.UUID(int=site.rng.getrandbits(128)).hex
        rows.append({**row, "id": key, "content_hash": content_hash(key)})
    site.change(rows)
    yield Planted(n)
    site.remove([row["id"] for row in rows])


@fault("stale rows", "rows.stale")
def stale(site: Site, n: int) -> Iterator[Planted]:
    rows = site.pick(n)
    for row in rows:
        site.change([row], content_hash=content_hash(row["text"] + "!"))
    yield Planted(n)
    site.change(rows)


@fault("duplicate rows, by key", "rows.duplicate")
def duplicate(site: Site, n: int) -> Iterator[Planted]:
    rows = site.pick(n)
    for start in range(0, n, 500):
        site.milvus.insert(site.main, rows[start : start + 500])
    yield Planted(n)
    site.remove([row["id"] for row in rows])
    site.change(rows)


@fault("duplicate rows, by content", "rows.duplicate-content", along=("rows.orphan",))
def duplicate_content(site: Site, n: int) -> Iterator[Planted]:
    """The ledger does not know the second rows either."""
    rows = [{**row, "id": uuid.UUID(int=site.rng.getrandbits(128)).hex} for row in site.pick(n)]
    site.change(rows)
    yield Planted(n)
    site.remove([row["id"] for row in rows])


@fault("label of another model", "embedding.model-mismatch")
def wrong_label(site: Site, n: int) -> Iterator[Planted]:
    rows = site.pick(n)
    site.change(rows, embedding_model="another@2")
    yield Planted(n)
    site.change(rows)


@fault("another chunker", "chunking.mismatch")
def chunker(site: Site, n: int) -> Iterator[Planted]:
    rows = site.pick(n)
    site.change(rows, chunker="fixed/512/64/3")
    yield Planted(n)
    site.change(rows)


@fault("lying label", "embedding.canary", rows=False, along=("embedding.vectors",))
def lying_label(site: Site, _: int) -> Iterator[Planted]:
    """Three rows in ten have vectors of another model, and say otherwise. A sample is looked at,
    so that it is found is all that can be asked."""
    rows = site.pick(max(1, 3 * len(site.keys) // 10))
    model = site.loaded.spec.models[0]
    other = model.model_copy(update={"options": HashingOptions(ngram_min=2, ngram_max=3)})
    with closing(make_embedder(site.loaded, other)) as embedder:
        vectors = embedder.embed([row["text"] for row in rows])
    lying = [{**row, "embedding": v} for row, v in zip(rows, vectors, strict=True)]
    site.change(lying)
    yield Planted(1)
    site.change(rows)


@fault("rows of another tenant", "tenancy.isolation")
def another_tenant(site: Site, n: int) -> Iterator[Planted]:
    rows = site.pick(n)
    site.change(rows, tenant_id="another")
    yield Planted(n)
    site.change(rows)


@fault("rows of no tenant", "tenancy.ownerless")
def no_tenant(site: Site, n: int) -> Iterator[Planted]:
    rows = site.pick(n)
    site.change(rows, tenant_id="")
    yield Planted(n)
    site.change(rows)


@fault("unfinished documents", "rows.unfinished")
def unfinished(site: Site, n: int) -> Iterator[Planted]:
    """An ingestion announced changed documents and was killed before it sent a row of them."""
    with open_ledger(site.loaded) as ledger:
        known = ledger.documents(site.main, TENANT)
        chosen = {doc: known[doc] for doc in site.rng.sample(sorted(known), n)}
        with ledger.run(site.main) as held:
            digests = {doc: (content_hash(doc + "!"), had.chunks) for doc, had in chosen.items()}
            ledger.announce(held, TENANT, digests)
    yield Planted(n)
    with open_ledger(site.loaded) as ledger, ledger.run(site.main) as held:
        ledger.announce(held, TENANT, {d: (had.digest, had.chunks) for d, had in chosen.items()})
        ledger.complete(held, TENANT, {doc: had.chunks for doc, had in chosen.items()})


# --- definitions


@fault("dropped index", "index.missing", rows=False, along=("load.state",))
def dropped_index(site: Site, _: int) -> Iterator[Planted]:
    (state,) = site.milvus.describe(site.main).indexes
    site.milvus.release(site.main)
    site.milvus.drop_index(site.main, state.index.name)
    yield Planted(1)
    _index(site, state.index)


@fault("other index parameters", "index.drift", rows=False)
def index_parameters(site: Site, _: int) -> Iterator[Planted]:
    (state,) = site.milvus.describe(site.main).indexes
    _index(site, replace(state.index, params={"nlist": "32"}), drop=state.index.name)
    yield Planted(1)
    _index(site, state.index, drop=state.index.name)


@fault("lost alias", "alias.drift", rows=False)
def lost_alias(site: Site, _: int) -> Iterator[Planted]:
    site.milvus.drop_alias(site.alias)
    yield Planted(1)
    site.milvus.create_alias(site.main, site.alias)


@fault("moved alias", "alias.drift", rows=False)
def moved_alias(site: Site, _: int) -> Iterator[Planted]:
    site.milvus.move_alias(site.side, site.alias)
    yield Planted(1)
    site.milvus.move_alias(site.main, site.alias)


@fault("released collection", "load.state", rows=False)
def released(site: Site, _: int) -> Iterator[Planted]:
    site.milvus.release(site.main)
    yield Planted(1)
    site.milvus.load(site.main)


@fault("dropped collection", "schema.missing-collection", rows=False)
def dropped_collection(site: Site, _: int) -> Iterator[Planted]:
    seen = site.milvus.describe(site.side)
    site.milvus.drop_collection(site.side)
    yield Planted(1)
    _create(site, seen.schema, seen.indexes[0].index)


@fault("rows that expire", "config.expiry", rows=False)
def expiry(site: Site, _: int) -> Iterator[Planted]:
    site.milvus.admin.alter_collection(site.side, {"collection.ttl.seconds": "8640000"})
    yield Planted(1)
    site.milvus.admin.alter_collection(site.side, {"collection.ttl.seconds": "0"})


@fault("schema without a column", "schema.drift", rows=False)
def missing_column(site: Site, _: int) -> Iterator[Planted]:
    seen = site.milvus.describe(site.side)
    fields = tuple(one for one in seen.schema.fields if one.name != "chunk_index")
    site.milvus.drop_collection(site.side)
    _create(site, replace(seen.schema, fields=fields), seen.indexes[0].index)
    yield Planted(1)
    site.milvus.drop_collection(site.side)
    _create(site, seen.schema, seen.indexes[0].index)


# --- access


@fault("widened grant", "access.widened", rows=False)
def widened(site: Site, _: int) -> Iterator[Planted]:
    role = site.loaded.spec.access.roles[0].name  # type: ignore[union-attr] - it was asked for
    more = Privilege("Collection", "*", "Insert")
    site.milvus.admin.grant(role, more)
    yield Planted(1)
    site.milvus.admin.revoke(role, more)


@fault("user that nobody knows", "access.extra", rows=False)
def stranger(site: Site, _: int) -> Iterator[Planted]:
    site.milvus.admin.create_user("stranger", "not-a-secret")
    yield Planted(1)
    site.milvus.admin.drop_user("stranger")


# --- schedules


@fault("edited timer", "schedule.timer", rows=False)
def edited_timer(site: Site, _: int) -> Iterator[Planted]:
    timer = site.timer()
    _, file = timer.files
    file.write_text(timer.timer.replace(timer.when, "*-*-01 05:00:00"))
    yield Planted(1)
    file.write_text(timer.timer)


# --- backups


@fault("stale backup", "backup.too-old", rows=False)
def stale_backup(site: Site, _: int) -> Iterator[Planted]:
    """The objective is made the shortest that a schedule can keep; the backup has to be older."""
    newest = max(made.boundary for made in open_catalog(site.loaded).summaries())
    wait_until(lambda: time.time() * 1000 - newest > 61_000, timeout=120, what="its age")
    often = {"backup": {"every": "1m"}}
    yield Planted(1, site.variant(objectives={"rpo": "1m", "rto": "1h"}, day2=often))


def _index(site: Site, index: Index, drop: str = "") -> None:
    if drop:
        site.milvus.release(site.main)
        site.milvus.drop_index(site.main, drop)
    site.milvus.create_index(site.main, index, wait=True)
    site.milvus.load(site.main)
    wait_until(site.indexed, timeout=3600, what="the index")


def _create(site: Site, schema: object, index: Index) -> None:
    site.milvus.create_collection(site.side, schema)  # type: ignore[arg-type]
    site.milvus.create_index(site.side, index, wait=True)
    site.milvus.load(site.side)
