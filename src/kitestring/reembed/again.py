"""The gate on vectors: some rows of the shadow collection embedded again.

A label says which model made a vector, and can lie: an endpoint exchanges the model behind its
name while a copy is under way, options in the spec change between two runs of it.
"""

from __future__ import annotations

import numpy as np

from kitestring.canary.arrays import cosines
from kitestring.canary.measure import TOLERANCE
from kitestring.clients.embedder import Embedder
from kitestring.clients.embedder.base import Vectors
from kitestring.clients.embedder.cache import CachedEmbedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.finding import Verdict
from kitestring.model.reembed import Gate
from kitestring.recall.vectors import vectors_of
from kitestring.reembed.copy import Copier
from kitestring.reembed.journal import Journal, Key
from kitestring.reembed.rows import by_keys
from kitestring.stats.rank import exceedance

NAME = "vectors"
ROWS = 256  # embedded twice: 2% of wrong rows are among them with 99%
_ALPHA = 1e-3
_SHOWN = 3


def vectors_gate(milvus: Milvus, embedder: Embedder, copier: Copier, journal: Journal) -> Gate:
    """Whether stored vectors are as near to the model's as the model is to itself.

    The texts are embedded twice, past any cache. Of a model that repeats itself each row below
    is wrong; of another, more rows below its own least cosine than chance allows.

    Raises:
        MilvusError, EmbedderFailed.
    """
    columns, info = copier.columns, copier.shadow
    model = embedder.model if isinstance(embedder, CachedEmbedder) else embedder
    field = info.schema.field(columns.vector)
    assert field is not None  # noqa: S101 - the shadow has the fields of the source
    keys: list[Key] = []
    texts: list[str] = []
    rows: list[Vectors] = []
    for batch, _ in by_keys(
        milvus, info, [columns.key, columns.text, columns.vector], journal.sample(ROWS)
    ):
        keys += batch.column(columns.key).to_pylist()
        texts += batch.column(columns.text).to_pylist()
        rows.append(np.asarray(vectors_of(batch, field)))
    wanted = f"as near as {model.label} is to itself"
    if not rows:
        return Gate(NAME, wanted, "no rows", Verdict.PASS)
    first, second = model.embed(texts), model.embed(texts)
    itself, near = cosines(first, second), cosines(np.concatenate(rows), first)
    # texts without a word have no direction: nothing to be near to
    itself, near = (np.where(first.any(axis=1), c, 1.0) for c in (itself, near))
    least = itself.min()
    low = sorted(np.flatnonzero(near < least - TOLERANCE).tolist(), key=lambda i: near[i])
    repeats = least >= 1 - TOLERANCE
    failed = bool(low) and (repeats or exceedance(len(keys), len(keys), len(low)) <= _ALPHA)
    reason = f"{len(keys)} rows embedded again, least cosine {near.min():.5f}"
    if low:
        reason += ", such as of " + ", ".join(str(keys[i]) for i in low[:_SHOWN])
    verdict = Verdict.FAIL if failed else Verdict.PASS
    return Gate(NAME, wanted, f"{len(low)} are not" if low else "all", verdict, reason)
