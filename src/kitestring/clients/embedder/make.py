"""From a model of the spec to an embedder."""

from __future__ import annotations

from kitestring.clients.embedder.base import Embedder
from kitestring.errors import EmbedderFailed
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import EmbeddingModel, HashingModel, HttpModel


def make_embedder(loaded: LoadedSpec, model: EmbeddingModel) -> Embedder:
    """The embedder that a model of the spec asks for; close it after use.

    Raises:
        EmbedderFailed: what it needs is not installed, or the model can't be loaded.
        SecretMissing: the base URL or key that it names is not there.
    """
    if isinstance(model, HashingModel):
        from kitestring.clients.embedder.hashing import HashingEmbedder

        return HashingEmbedder(model)
    if isinstance(model, HttpModel):
        try:
            from kitestring.clients.embedder.http import HttpEmbedder
        except ImportError:
            raise EmbedderFailed(
                f"the model `{model.label}` needs httpx, which is not installed",
                hint="pip install 'kitestring[ingest]'",
                subject=model.label,
            ) from None
        from kitestring.clients.secrets import read_secret

        return HttpEmbedder(
            model,
            read_secret(loaded, model.options.base_url),
            read_secret(loaded, model.options.api_key),
        )
    from kitestring.clients.embedder.local import SentenceTransformersEmbedder

    # a path that is there is one; all else is the name of a model
    path = loaded.resolve(model.options.path)
    return SentenceTransformersEmbedder(model, str(path) if path.exists() else model.options.path)
