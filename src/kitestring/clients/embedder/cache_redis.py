"""An embedding cache in Redis, for several hosts. Its size is bound by the server's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import redis

from kitestring.clients.embedder.cache import CacheFailed

_PREFIX = b"kitestring:vector:"
_STEP = 512  # keys in one request
_TIMEOUT = 10.0  # seconds; a cache that is slower than that is no help


class RedisVectors:
    """Entries that are forgotten `keep` seconds after their last use.

    Args:
        url: such as `redis://:password@host:6379/0`; never part of a message.

    Raises:
        CacheFailed: the URL is none.
    """

    def __init__(self, url: str, keep: float) -> None:
        self._keep = max(1, int(keep))
        self.notes: Sequence[str] = ()
        try:
            self._redis = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
            )
            self._where = f"Redis at {urlsplit(url).hostname or 'its socket'}"
        except ValueError as error:
            raise CacheFailed(f"the URL of Redis is none: {error}") from None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        try:
            for start in range(0, len(keys), _STEP):
                part = keys[start : start + _STEP]
                entries: list[Any] = self._redis.mget([_PREFIX + key for key in part])
                there = {k: e for k, e in zip(part, entries, strict=True) if e is not None}
                with self._redis.pipeline(transaction=False) as pipeline:
                    for key in there:
                        pipeline.expire(_PREFIX + key, self._keep)
                    pipeline.execute()
                found |= there
        except redis.RedisError as error:
            raise CacheFailed(f"{self._where}: {error}") from error
        return found

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        listed = list(entries.items())
        try:
            for start in range(0, len(listed), _STEP):
                with self._redis.pipeline(transaction=False) as pipeline:
                    for key, entry in listed[start : start + _STEP]:
                        pipeline.set(_PREFIX + key, entry, ex=self._keep)
                    pipeline.execute()
        except redis.RedisError as error:
            raise CacheFailed(f"{self._where}: {error}") from error

    def close(self) -> None:
        self._redis.close()
