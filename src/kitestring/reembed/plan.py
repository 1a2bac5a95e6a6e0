"""What a re-embedding would take and do. Nothing is changed."""

from __future__ import annotations

import math
import time
from contextlib import closing
from itertools import islice

import numpy as np

from kitestring.capacity import plan as capacity
from kitestring.capacity.needs import collection_need
from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.clients.store.connect import open_segment_store
from kitestring.errors import (
    DimensionMismatch,
    EmbedderFailed,
    LocalNotRunning,
    ReembedRefused,
    SecretMissing,
    StoreError,
    UsageError,
)
from kitestring.model.reembed import Estimate, ReembedPlan
from kitestring.reembed.copy import BATCH_ROWS
from kitestring.reembed.refuse import Change, Reason, change_of, next_name, reasons
from kitestring.reembed.rows import API, SEGMENTS
from kitestring.render.words import duration
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import HttpModel
from kitestring.spec.registry import served_as

SAMPLE = 256  # rows whose texts are embedded once, to measure
CHARACTERS_PER_TOKEN = 4


def plan(
    loaded: LoadedSpec,
    milvus: Milvus,
    name: str,
    to: str,
    *,
    embedder: Embedder | None = None,
) -> ReembedPlan:
    """The plan; `refused` says all that stands against it. A sample of the texts is embedded.

    Raises:
        UsageError: the spec has no such collection, or it names no model.
        ReembedRefused: `models` have no such model.
        MilvusError.
    """
    change = change_of(loaded, name, to)
    against = list(reasons(loaded, milvus, change))
    shadow = next_name(milvus, change.wanted.name)
    estimate = None
    if milvus.has_collection(change.wanted.name) and _can_sample(milvus, change):
        try:
            with closing(embedder or make_embedder(loaded, change.model_to)) as model:
                estimate = _estimate(loaded, milvus, change, shadow, model)
        except (EmbedderFailed, DimensionMismatch, SecretMissing) as error:
            against.append((error.message, error.hint or "look at the model"))
        except ReembedRefused as error:
            against.append((error.message, error.hint))
    if estimate is not None:
        against += _no_room(loaded, change, shadow, estimate.rows)
    return ReembedPlan(
        change.wanted.name,
        shadow,
        tuple(change.wanted.aliases),
        change.model_from.label,
        change.model_to.label,
        change.model_from.dimension,
        change.model_to.dimension,
        estimate,
        _steps(change, shadow),
        tuple(against),
        _notes(change),
    )


def _can_sample(milvus: Milvus, change: Change) -> bool:
    info, text = milvus.describe(change.wanted.name), change.wanted.fields.text
    return info.loaded and bool(text and info.schema.field(text))


def _estimate(
    loaded: LoadedSpec, milvus: Milvus, change: Change, shadow: str, model: Embedder
) -> Estimate:
    wanted = change.wanted
    rows = milvus.count(wanted.name)
    column = str(wanted.fields.text)
    sample = milvus.scan(wanted.name, [column], batch_rows=SAMPLE)
    texts: list[str | None] = [
        text for batch in islice(sample, 1) for text in batch.column(0).to_pylist()
    ]
    if None in texts:
        raise ReembedRefused(
            f"rows of `{wanted.name}` have no text to embed",
            hint="give them one, or delete them",
            subject=wanted.name,
        )
    given = [text for text in texts if text is not None]
    start = time.perf_counter()
    model.embed(given or ["dimension"])
    rate = max(1, len(given)) / max(1e-9, time.perf_counter() - start)
    characters = round(float(np.mean([len(t) for t in given])) * rows) if given else 0
    requests, seconds = None, rows / rate
    if isinstance(change.model_to, HttpModel):
        options = change.model_to.options
        requests = math.ceil(rows / min(options.batch_size, BATCH_ROWS))
        seconds = max(seconds, requests / options.requests_per_second)
    after, _ = served_as(wanted, change.after(shadow), change.position)
    need = collection_need(loaded.spec, after, rows, growth=0.0)
    deployment = loaded.spec.deployment
    return Estimate(
        rows,
        len(given),
        characters,
        math.ceil(characters / CHARACTERS_PER_TOKEN),
        rate,
        requests,
        seconds,
        _read_by(loaded),
        need.memory,
        need.stored,
        "it fits the pods of `deployment` beside what they hold"
        if deployment
        else "the spec has no `deployment` to compare with: see that the query nodes have it free",
    )


def _no_room(loaded: LoadedSpec, change: Change, shadow: str, rows: int) -> list[Reason]:
    """Where the deployment of the spec can't hold both collections."""
    if loaded.spec.deployment is None:
        return []
    after, _ = served_as(change.wanted, change.after(shadow), change.position)
    both = [*loaded.spec.collections, after.model_copy(update={"aliases": []})]
    spec = loaded.spec.model_copy(update={"collections": both})
    try:
        found = capacity.plan(spec, {change.wanted.name: rows, shadow: rows})
    except UsageError as error:  # pragma: no cover - both are among the collections
        return [(error.message, error.hint)]
    return [
        (reason, "`kitestring capacity plan` shows what each takes") for reason in found.reasons
    ]


def _read_by(loaded: LoadedSpec) -> str:
    try:
        store, root = open_segment_store(loaded)
        next(iter(store.list(f"{root}/insert_log/".lstrip("/"))), None)
    except (StoreError, LocalNotRunning, SecretMissing):
        return API
    return SEGMENTS


def _steps(change: Change, shadow: str) -> tuple[str, ...]:
    wanted, held = change.wanted, change.wanted.reembed
    led = ", ".join(f"`{a}`" for a in wanted.aliases) or "no alias"
    return (
        f"run: make `{shadow}` like `{wanted.name}` with {change.model_to.dimension} dimensions "
        f"and the indexes of the spec; copy every row with its text embedded by "
        f"`{change.model_to.label}`; take what ingestion changes meanwhile from the ledger",
        "cutover: with ingestion held, catch up; ask the gates (rows, keys, content, labels, "
        f"recall at least {held.recall:g}, overlap, hits, latency at most {held.latency:g} times); "
        f"point {led} at `{shadow}`",
        f"rollback, while `{wanted.name}` is kept: point {led} back",
        f"finish, {duration(held.retention)} after the cutover: prove that every row is in "
        f"`{shadow}`, drop `{wanted.name}`",
    )


def _notes(change: Change) -> tuple[str, ...]:
    if change.wanted.golden:
        return ()
    return (
        "the collection has no `golden` queries: stored rows are asked instead, and whether "
        "answers are relevant is not measured",
    )
