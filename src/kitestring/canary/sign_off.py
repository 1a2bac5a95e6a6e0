"""Making a sign-off: stored texts embedded again, at a time when the vectors are right."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kitestring.canary.arrays import Vectors, cosines, packed
from kitestring.canary.fingerprint import fingerprint_of, probe_vectors
from kitestring.canary.rows import Rows, read_rows
from kitestring.canary.sample import Chosen, choose
from kitestring.canary.store import read_sign_off, sign_off_file, write_sign_off
from kitestring.canary.subject import Subject, subject_of
from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.embedding.spread import Spread
from kitestring.errors import SignOffError, SignOffExists, SignOffRefused, SignOffUnreadable
from kitestring.model.signoff import SignOff
from kitestring.parallel import Workers
from kitestring.spec.canary import Canary
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec

_CONTENT = 500  # vectors that are kept to compare the content with
_TWICE = 32  # texts that are embedded twice before anything is taken for repeatable
_FAR, _TIMES = 0.01, 3.0
_LEAST = 20


@dataclass(frozen=True, slots=True)
class Signed:
    """A sign-off that was written, and where."""

    sign_off: SignOff
    file: str


def sign_off(
    loaded: LoadedSpec,
    milvus: Milvus,
    collection: CollectionSpec,
    *,
    rows: int | None = None,
    seed: str | None = None,
    accept: bool = False,
    renew: bool = False,
    embedder: Embedder | None = None,
    workers: Workers | None = None,
) -> Signed:
    """Embeds stored texts again and keeps the cosines as what later checks compare with.

    Args:
        rows: how many; by default what the spec says, or 1,000. A smaller collection gives all.
        seed: of their choice; a new one by default.
        accept: sign off what does not look right, too; the sign-off then tells what it was.
        renew: replace an earlier sign-off of this model.
        embedder: for tests; the spec's model by default.
        workers: what segments are read and texts embedded on; None for this process.

    Raises:
        SignOffExists: there is one, and `renew` is not set.
        SignOffRefused: rows of other models are there, or stored vectors are far from what the
            model gives, and `accept` is not set. Nothing is written.
        SignOffError: the collection has too few rows with a text.
        CollectionUnfit: see `subject_of`.
        EmbedderFailed, DimensionMismatch, SecretMissing: the model can't be asked.
        MilvusError, StoreError.
    """
    subject = subject_of(loaded, collection, milvus.describe(collection.name))
    label = subject.model.label
    if not renew:
        refuse_second(loaded, collection)
    now = int(time.time() * 1000)
    seed = seed if seed is not None else f"{collection.name}/{now}"
    count = rows or (collection.canary or Canary()).reference
    with closing(embedder or make_embedder(loaded, subject.model)) as embed:
        probes = probe_vectors(embed)  # a model that does not answer shows before rows are read
        chosen = choose(
            milvus, subject.info, collection.fields, label, count, seed,
            loaded=loaded, workers=workers,
        )  # fmt: skip
        found = _with_text(
            read_rows(milvus, subject.info, subject.text, subject.vector, chosen.keys)
        )
        if len(found) < _LEAST:
            raise SignOffError(
                f"`{collection.name}` has {len(found)} rows of `{label}` with a text; a sign-off "
                f"needs {_LEAST}",
                hint="ingest documents first",
                subject=collection.name,
            )
        texts = [text or "" for text in found.texts]
        again, repeatability = _embedded(Spread(loaded, subject.model, embed, workers), texts)
    near = cosines(found.vectors, again)
    doubts = _doubts(subject, chosen, found, near, repeatability)
    if doubts and not accept:
        raise SignOffRefused(
            f"`{collection.name}` is not signed off: " + "; ".join(doubts),
            hint="correct the rows or the model of the spec; `--accept` signs off what is there, "
            "and no check will find such rows again",
            subject=collection.name,
        )
    made = SignOff(
        cluster=loaded.spec.cluster.name,
        collection=collection.name,
        fingerprint=fingerprint_of(subject.model, probes),
        signed_at=now,
        seed=seed,
        population=chosen.population,
        cosines=tuple(round(float(c), 9) for c in np.sort(near)),
        repeatability=round(repeatability, 9),
        probes=packed(probes),
        vectors=packed(found.vectors[:_CONTENT]),
        accepted=tuple(doubts),
    )
    return Signed(made, str(write_sign_off(loaded, made)))


def refuse_second(loaded: LoadedSpec, collection: CollectionSpec) -> None:
    """Raises SignOffExists where there is a sign-off of the collection's model, readable or not."""
    name, label = collection.name, collection.model or ""
    file = sign_off_file(loaded, name, label)
    hint = "`--renew` replaces it: do so only where the vectors are known to be right"
    try:
        if read_sign_off(loaded, name, label) is None:
            return
    except SignOffUnreadable as error:
        raise SignOffExists(error.message, hint=hint, subject=str(file)) from None
    raise SignOffExists(
        f"`{name}` has been signed off for `{label}`: {file}", hint=hint, subject=str(file)
    )


def _with_text(rows: Rows) -> Rows:
    kept = [i for i, text in enumerate(rows.texts) if text]
    return Rows(
        tuple(rows.keys[i] for i in kept),
        tuple(rows.texts[i] for i in kept),
        rows.vectors[kept],
    )


def _embedded(embedder: Spread, texts: list[str]) -> tuple[Vectors, float]:
    """The vectors of the texts, and the least cosine of a text embedded twice.

    A model that gives the first texts the same vectors again, in other company, is taken for
    repeatable; else all are embedded twice.
    """
    first = embedder.embed(texts)
    some = texts[:_TWICE]
    repeatability = float(cosines(first[: len(some)], embedder.embed(some[::-1])[::-1]).min())
    if repeatability < 1 - 1e-6:
        second = embedder.embed(texts[::-1])[::-1]
        repeatability = min(repeatability, float(cosines(first, second).min()))
    return first, repeatability


def _doubts(
    subject: Subject,
    chosen: Chosen,
    rows: Rows,
    near: np.ndarray,
    repeatability: float,
) -> list[str]:
    """What speaks against signing these vectors off."""
    label, found = subject.model.label, []
    others = {name: n for name, n in chosen.labels.items() if name != label}
    if others:
        named = ", ".join(f"`{name or '(no label)'}` {n:,}" for name, n in sorted(others.items()))
        found.append(f"rows carry other labels than `{label}`: {named}")
    bound = 1 - max(_FAR, _TIMES * (1 - repeatability))
    far = np.flatnonzero(near < bound)
    if len(far):
        worst = sorted(map(int, far), key=lambda i: float(near[i]))[:3]
        shown = ", ".join(f"{rows.keys[i]} (cosine {near[i]:.3f})" for i in worst)
        what = (
            f"the stored vectors are not those of `{label}`: "
            if 2 * len(far) > len(near)
            else "some stored vectors are not what the model gives for their text: "
        )
        found.append(
            f"{what}{len(far):,} of {len(near):,} are below a cosine of {bound:.3f}, "
            f"for example {shown}"
        )
    return found
