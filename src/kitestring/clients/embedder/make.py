"""From a model of the spec to an embedder."""

from __future__ import annotations

from kitestring.clients.embedder.base import Embedder
from kitestring.clients.embedder.cache import CachedEmbedder, VectorCache, fingerprint
from kitestring.errors import EmbedderFailed, SpecInvalid
from kitestring.model.quantity import parse_bytes
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import EmbeddingModel, HashingModel, HttpModel, RedisCache

CACHE_FILE = "embeddings.sqlite"


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


def make_cached(
    loaded: LoadedSpec, model: EmbeddingModel, embedder: Embedder | None = None
) -> CachedEmbedder | None:
    """The embedder of a model behind the cache that the spec asks for; None where it asks for
    none. Close it after use, which closes `embedder` too.

    Args:
        embedder: in place of the one that the model asks for.

    Raises:
        EmbedderFailed, SecretMissing: see `make_embedder`; what Redis needs is not installed.
        SpecInvalid: the URL of Redis is none.
    """
    asked = loaded.spec.ingest.cache
    if asked is None:
        return None
    cache: VectorCache
    if isinstance(asked, RedisCache):
        from kitestring.clients.embedder.cache import CacheFailed
        from kitestring.clients.secrets import read_secret

        try:
            from kitestring.clients.embedder.cache_redis import RedisVectors
        except ImportError:
            raise EmbedderFailed(
                "the embedding cache of the spec needs redis, which is not installed",
                hint="pip install 'kitestring[redis]', or use `ingest.cache: {type: sqlite}`",
            ) from None
        try:
            cache = RedisVectors(read_secret(loaded, asked.url), asked.keep)
        except CacheFailed as error:
            raise SpecInvalid(
                f"{loaded.locate('ingest', 'cache', 'url')}: {error}",
                hint="such as redis://host:6379/0",
            ) from None
    else:
        from kitestring.clients.embedder.cache_sqlite import SqliteVectors

        cache = SqliteVectors(loaded.state_dir / CACHE_FILE, parse_bytes(asked.max_size))
    return CachedEmbedder(embedder or make_embedder(loaded, model), cache, fingerprint(model))
