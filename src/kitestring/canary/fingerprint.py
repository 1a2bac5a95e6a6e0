"""What tells one embedding model from another: its settings, and its vectors of fixed texts."""

from __future__ import annotations

import hashlib

import numpy as np

from kitestring.canary.arrays import Vectors
from kitestring.canary.probe_texts import PROBE_TEXTS
from kitestring.clients.embedder import Embedder
from kitestring.model.signoff import Fingerprint
from kitestring.spec.models import EmbeddingModel, HashingModel, HttpModel

_STEPS = 1000.0  # of a number of a vector: rounding errors must not change the digest


def probe_vectors(embedder: Embedder) -> Vectors:
    """The vectors of the probe texts by the encoder of questions, shape (probes, dimension).

    Raises:
        EmbedderFailed, DimensionMismatch: the model does not answer as it should.
    """
    return np.stack([embedder.embed_query(text) for text in PROBE_TEXTS.values()])


def fingerprint_of(model: EmbeddingModel, probes: Vectors) -> Fingerprint:
    """The fingerprint of a model of the spec that gave these vectors for the probe texts."""
    lengths = np.linalg.norm(probes, axis=1, keepdims=True)
    rounded = np.rint(probes / lengths * _STEPS).astype("<i4")
    return Fingerprint(
        label=model.label,
        provider=model.provider,
        dimension=model.dimension,
        normalize=model.normalize,
        parameters=_parameters(model),
        probes=hashlib.sha256(rounded.tobytes()).hexdigest(),
    )


def _parameters(model: EmbeddingModel) -> dict[str, str]:
    """The options that change vectors."""
    if isinstance(model, HashingModel):
        return {name: str(value) for name, value in model.options.model_dump().items()}
    if isinstance(model, HttpModel):
        return {"model": model.options.model}
    return {"path": model.options.path}
