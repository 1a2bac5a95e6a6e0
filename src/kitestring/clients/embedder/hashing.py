"""The embedded default: hashed n-grams by scikit-learn's HashingVectorizer.

Deterministic, without weights or a network. It finds passages that share words (or characters)
with the question, not passages that mean the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kitestring.clients.embedder.base import ModelEmbedder
from kitestring.errors import EmbedderFailed
from kitestring.spec.models import HashingModel


class HashingEmbedder(ModelEmbedder):
    """One set of parameters is one model.

    A text without a single feature (punctuation or stop words only) would get a zero vector,
    for which cosine is not defined. It gets a unit vector along one axis instead, chosen by the
    SHA-256 of the text: the row is valid, only the very same text is near to it, and another run
    gives the same vector.

    Raises:
        EmbedderFailed: scikit-learn is not installed.
    """

    def __init__(self, model: HashingModel) -> None:
        try:
            from sklearn.feature_extraction.text import HashingVectorizer
        except ImportError:
            raise EmbedderFailed(
                f"the model `{model.label}` needs scikit-learn, which is not installed",
                hint="pip install 'kitestring[ingest]'",
                subject=model.label,
            ) from None
        super().__init__(model)
        self._model = model
        options = model.options
        self._vectorizer = HashingVectorizer(
            n_features=model.dimension,
            analyzer=options.analyzer,
            ngram_range=(options.ngram_min, options.ngram_max),
            # scikit-learn warns of stop words that its analyzer does not use
            stop_words=options.stop_words if options.analyzer == "word" else None,
            norm="l2" if model.normalize else None,
            dtype=np.float32,
        )

    def _raw(self, texts: Sequence[str]) -> Any:
        vectors = self._vectorizer.transform(texts).toarray()
        for row in map(int, np.flatnonzero(~vectors.any(axis=1))):
            digest = hashlib.sha256(texts[row].encode()).digest()
            vectors[row, int.from_bytes(digest[:8], "big") % self.dimension] = 1.0
        return vectors
