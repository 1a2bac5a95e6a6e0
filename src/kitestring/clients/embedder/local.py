"""Models that sentence-transformers loads (the extra of that name)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kitestring.clients.embedder.base import ModelEmbedder
from kitestring.errors import EmbedderFailed
from kitestring.spec.models import SentenceTransformersModel


class SentenceTransformersEmbedder(ModelEmbedder):
    """A model on this machine.

    Args:
        path: a directory, or the name of a model that sentence-transformers knows.

    Raises:
        EmbedderFailed: the extra is not installed, or the model can't be loaded.
    """

    def __init__(self, model: SentenceTransformersModel, path: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise EmbedderFailed(
                f"the model `{model.label}` needs sentence-transformers, which is not installed",
                hint="pip install 'kitestring[sentence-transformers]'",
                subject=model.label,
            ) from None
        super().__init__(model)
        self._model = model
        try:
            self._transformer = SentenceTransformer(path)
        except Exception as error:  # the library and torch raise errors of any type
            raise EmbedderFailed(
                f"the model `{model.label}` can't be loaded from {path}: {error}",
                hint="check `options.path` of the model in the spec",
                subject=model.label,
            ) from error

    def _raw(self, texts: Sequence[str]) -> Any:
        try:
            raw = self._transformer.encode(
                list(texts),
                batch_size=self._model.options.batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
        except Exception as error:  # as above
            raise EmbedderFailed(
                f"the model `{self.label}` failed: {error}", subject=self.label
            ) from error
        return raw
