"""What an embedding model must do, and what is checked of every answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kitestring.errors import DimensionMismatch, EmbedderFailed
from kitestring.spec.models import EmbeddingModel

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """An embedding model. The same text gives the same vector, whatever stands beside it."""

    @property
    def label(self) -> str:
        """`name@version`, as rows carry it."""
        ...

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape [len(texts), dimension].

        Raises:
            EmbedderFailed: the model does not answer, or answers with what is no vector.
            DimensionMismatch: its vectors have another dimension than the spec says.
        """
        ...

    def embed_query(self, text: str) -> Vectors:
        """The vector of a question, of shape [dimension]."""
        ...

    def close(self) -> None: ...


class ModelEmbedder(ABC):
    """What the embedders of a spec's model share; each says only how texts become numbers."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._of = model

    @abstractmethod
    def _raw(self, texts: Sequence[str]) -> Any:
        """The model's answer to one or more texts, unchecked."""

    @property
    def label(self) -> str:
        return self._of.label

    @property
    def dimension(self) -> int:
        return self._of.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        return checked(
            self._raw(texts),
            label=self.label,
            texts=len(texts),
            dimension=self.dimension,
            normalize=self._of.normalize,
        )

    def embed_query(self, text: str) -> Vectors:
        vector: Vectors = self.embed([text])[0]
        return vector

    def close(self) -> None:  # noqa: B027 - most models hold nothing to close
        """Frees what the model holds."""


def checked(raw: Any, *, label: str, texts: int, dimension: int, normalize: bool) -> Vectors:
    """A model's answer as float32 vectors, scaled to length 1 if `normalize`.

    Raises:
        DimensionMismatch: another dimension than the spec's.
        EmbedderFailed: another number of vectors than texts, or one that is zero, NaN or infinite:
            such a vector has no direction, and no search would find it.
    """
    try:
        vectors: Vectors = np.asarray(raw, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EmbedderFailed(
            f"the model `{label}` answered with vectors of unequal length or no numbers",
            hint="check the endpoint or the model's files",
            subject=label,
        ) from error
    if vectors.ndim != 2 or len(vectors) != texts:
        raise EmbedderFailed(
            f"the model `{label}` answered with shape {list(vectors.shape)} for {texts} texts",
            hint="check the endpoint or the model's files",
            subject=label,
        )
    if vectors.shape[1] != dimension:
        raise DimensionMismatch(
            f"the model `{label}` gives vectors of {vectors.shape[1]} dimensions; "
            f"the spec says {dimension}",
            hint="correct `dimension` of the model in the spec, or name the right model",
            subject=label,
        )
    norms = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~np.isfinite(norms) | (norms == 0))
    if len(bad):
        raise EmbedderFailed(
            f"the model `{label}` gave {len(bad)} of {texts} texts a vector that is zero, NaN or "
            "infinite",
            hint="such rows can't be found by any search; look at the model or the texts",
            subject=label,
            texts=True,
        )
    if normalize:
        vectors = vectors / norms[:, None]
    return np.ascontiguousarray(vectors)
