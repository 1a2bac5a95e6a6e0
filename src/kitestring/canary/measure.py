"""One canary: rows embedded again and set against the sign-off. It reads, and judges nothing."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from kitestring.canary.arrays import cosines, unpacked
from kitestring.canary.fingerprint import fingerprint_of, probe_vectors
from kitestring.canary.probe_texts import PROBE_TEXTS
from kitestring.canary.rows import Rows, read_rows
from kitestring.canary.sample import choose
from kitestring.canary.store import read_sign_off
from kitestring.canary.subject import Subject, subject_of
from kitestring.canary.vectors import EXAMPLES, VectorCensus
from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.embedding.spread import Spread
from kitestring.errors import (
    CollectionNotLoaded,
    CollectionUnfit,
    DimensionMismatch,
    EmbedderFailed,
    KitestringError,
    SecretMissing,
    SignOffUnreadable,
)
from kitestring.model.canary import (
    CanaryEvidence,
    Content,
    InSegment,
    Obstacle,
    QueryEncoder,
    Reembedded,
    Reference,
    Vectors,
)
from kitestring.model.collection import CollectionInfo
from kitestring.model.signoff import SignOff
from kitestring.model.tally import Tally
from kitestring.parallel import Workers
from kitestring.spec.canary import Canary
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec
from kitestring.stats.mmd import mmd_test
from kitestring.stats.rank import ALPHA, exceedance

TOLERANCE = 1e-5
"""Cosines that differ by less are equal: other hardware and batch sizes round otherwise, and no
search tells them apart."""


_COMPARED = 1000  # vectors of the permutation test: it takes the square of them in memory


def measure(
    loaded: LoadedSpec,
    milvus: Milvus,
    collection: CollectionSpec,
    info: CollectionInfo,
    *,
    seed: str | None = None,
    embedder: Embedder | None = None,
    workers: Workers | None = None,
) -> CanaryEvidence:
    """What a canary of one collection comes to. Nothing is changed.

    Args:
        seed: of the choice of rows; today's date (UTC) by default, so that a day's checks look at
            the same rows and another day's at others.
        embedder: for tests; the spec's model by default.
        workers: what segments are read and texts embedded on; None for this process.

    Raises:
        WorkerLost, WorkersUnreachable: see `kitestring.parallel`.
        MilvusError: the server went away. (A collection that is not loaded, a model that does not
            answer and a sign-off that is not there are part of the evidence.)
    """
    start = time.monotonic()
    canary = collection.canary or Canary()
    seed = seed if seed is not None else time.strftime("%Y-%m-%d", time.gmtime())
    evidence = CanaryEvidence(model=collection.model or "", seed=seed)
    try:
        subject = subject_of(loaded, collection, info)
        chosen = choose(
            milvus, info, collection.fields, subject.model.label, 2 * canary.rows, seed,
            loaded=loaded, workers=workers,
        )  # fmt: skip
        first = _read(milvus, subject, chosen.keys[: canary.rows])
    except (CollectionUnfit, CollectionNotLoaded) as error:
        return replace(evidence, unread=_obstacle(error), seconds=time.monotonic() - start)
    evidence = replace(
        evidence,
        population=chosen.population,
        vectors=_vectors(subject, first, chosen.rows),
    )
    if not chosen.population:
        nothing = Obstacle("no rows of the model are there", "ingest documents first")
        evidence = replace(evidence, unread=nothing)
    sign_off, evidence = _sign_off(loaded, subject, evidence)
    if sign_off is None or evidence.unread:
        return replace(evidence, seconds=time.monotonic() - start)
    evidence = replace(evidence, content=_content(sign_off, first, seed))
    try:
        with closing(embedder or make_embedder(loaded, subject.model)) as embed:
            evidence = replace(evidence, query=_query(sign_off, subject, embed))
            spread = Spread(loaded, subject.model, embed, workers)
            seen = _reembed(sign_off, spread, first, chosen.segments)
            if (
                seen.below.count > 0
                and exceedance(seen.rows, len(sign_off.cosines), seen.below.count) > ALPHA
            ):
                more = _read(milvus, subject, chosen.keys[canary.rows :])
                seen = _reembed(sign_off, spread, more, chosen.segments, seen)
            evidence = replace(evidence, reembedded=seen)
    except (EmbedderFailed, DimensionMismatch, SecretMissing) as error:
        evidence = replace(evidence, unanswered=_obstacle(error))
    return replace(evidence, seconds=time.monotonic() - start)


def _read(milvus: Milvus, subject: Subject, keys: tuple[str | int, ...]) -> Rows:
    return read_rows(milvus, subject.info, subject.text, subject.vector, keys)


def _sign_off(
    loaded: LoadedSpec, subject: Subject, evidence: CanaryEvidence
) -> tuple[SignOff | None, CanaryEvidence]:
    name, label = subject.spec.name, subject.model.label
    try:
        found = read_sign_off(loaded, name, label)
    except SignOffUnreadable as error:
        return None, replace(evidence, unsigned=_obstacle(error))
    if found is None:
        missing = Obstacle(f"the vectors have not been signed off for `{label}`", "")
        return None, replace(evidence, unsigned=missing)
    if found.fingerprint.dimension != subject.model.dimension:
        other = Obstacle(
            f"the sign-off is of vectors of {found.fingerprint.dimension} dimensions, those of "
            f"`{label}` have {subject.model.dimension}",
            "",
        )
        return None, replace(evidence, unsigned=other)
    reference = Reference(found.signed_at, len(found.cosines), found.tau, found.repeatability)
    return found, replace(evidence, reference=reference)


def _vectors(subject: Subject, sample: Rows, rows: int) -> Vectors:
    census = VectorCensus(subject.vector, unit=subject.model.normalize)
    census.add(sample.keys, sample.vectors)
    return census.result("sample", rows)


def _content(sign_off: SignOff, rows: Rows, seed: str) -> Content | None:
    """None where there are too few vectors, or some of them have no direction."""
    reference = unpacked(sign_off.vectors, sign_off.fingerprint.dimension)
    some = rows.vectors[:_COMPARED]
    there = some[np.isfinite(some).all(axis=1)]
    if len(there) < 2 or not np.isfinite(reference).all():
        return None
    found = mmd_test(reference, there, seed=zlib.crc32(seed.encode()))
    return Content(len(there), len(reference), found.statistic, found.p_value)


def _query(sign_off: SignOff, subject: Subject, embedder: Embedder) -> QueryEncoder:
    before = unpacked(sign_off.probes, sign_off.fingerprint.dimension)
    now = probe_vectors(embedder)
    near = cosines(before, now)
    names = list(PROBE_TEXTS)
    low = np.flatnonzero(near < sign_off.repeatability - TOLERANCE)
    return QueryEncoder(
        probes=len(names),
        changed=tuple(names[int(i)] for i in low),
        worst=float(near.min()),
        lengths=(_length(before), _length(now)),
        settings=sign_off.fingerprint.differences(fingerprint_of(subject.model, now)),
    )


def _length(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())


def _reembed(
    sign_off: SignOff,
    spread: Spread,
    rows: Rows,
    segments: Mapping[str, int],
    before: Reembedded | None = None,
) -> Reembedded:
    """The rows embedded again, added to those of an earlier sample."""
    told = [i for i, text in enumerate(rows.texts) if text]
    near = cosines(rows.vectors[told], spread.embed([rows.texts[i] or "" for i in told]))
    low = sorted(map(int, np.flatnonzero(near < sign_off.tau - TOLERANCE)), key=lambda i: near[i])
    below = tuple(rows.keys[told[i]] for i in low)
    textless = tuple(k for k, text in zip(rows.keys, rows.texts, strict=True) if not text)
    had = before or Reembedded(0)
    return Reembedded(
        rows=had.rows + len(told),
        below=_more(had.below, below),
        worst=min(had.worst, float(near.min(initial=1.0))),
        first_rows=had.rows,
        first_below=had.below.count,
        textless=_more(had.textless, textless),
        segments=_by_segment(had.segments, [rows.keys[i] for i in told], below, segments),
    )


def _by_segment(
    before: tuple[InSegment, ...],
    keys: Sequence[str],
    below: Sequence[str],
    segments: Mapping[str, int],
) -> tuple[InSegment, ...]:
    looked, low = (Counter(segments[k] for k in some if k in segments) for some in (keys, below))
    for one in before:
        looked[one.id] += one.rows
        low[one.id] += one.below
    return tuple(InSegment(number, looked[number], low[number]) for number in sorted(looked))


def _more(tally: Tally, keys: tuple[str, ...]) -> Tally:
    return Tally(tally.count + len(keys), (*tally.examples, *keys)[:EXAMPLES])


def _obstacle(error: KitestringError) -> Obstacle:
    return Obstacle(error.message, error.hint)
