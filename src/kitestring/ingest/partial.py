"""Rows that can't be written stop no other: a refused batch is halved until they are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kitestring.clients.embedder import Embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import (
    AuthenticationFailed,
    CollectionNotFound,
    CollectionNotLoaded,
    DimensionMismatch,
    EmbedderFailed,
    IngestError,
    KitestringError,
    MilvusError,
    PermissionDenied,
    ServerUnreachable,
)

if TYPE_CHECKING:
    from kitestring.clients.embedder.base import Vectors

SYSTEMATIC = 16  # texts refused and none taken: is it these texts, or any text?
IN_VAIN = 3  # batches in a row of which nothing was taken, with all retries: the run ends
_RETRIES = 5
_DEADLINE = 60.0  # seconds, of one call of Milvus with all its attempts
# no fault of a row
_WHOLE = (
    AuthenticationFailed,
    PermissionDenied,
    CollectionNotFound,
    CollectionNotLoaded,
    DimensionMismatch,
    ServerUnreachable,
)
_BUSY = ("rate limit", "quota", "memory limit", "too many requests", "service resource")


class Refused(dict[int, KitestringError]):
    """Position in the batch -> why it was not taken."""


class PartialEmbedder:
    """Embeds what can be embedded of a batch."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._in_vain = 0

    def embed(self, texts: Sequence[str]) -> tuple[dict[int, Vectors], Refused]:
        """Position -> vector of shape [dimension], and what was refused.

        A model that does not answer, with all its retries, has the batch refused as a whole.

        Raises:
            DimensionMismatch: the model is another one than the spec's.
            EmbedderFailed: it is not these texts; or `IN_VAIN` batches in a row had no answer.
        """
        found: dict[int, Vectors] = {}

        def call(positions: Sequence[int]) -> None:
            vectors = self._embedder.embed([texts[i] for i in positions])
            found.update(zip(positions, vectors, strict=True))

        try:
            refused = _halved(
                range(len(texts)), call, _of_texts, lambda: self._embedder.embed(["passage"])
            )
        except EmbedderFailed as error:
            self._in_vain += 1
            if not error.transient or self._in_vain >= IN_VAIN:
                raise
            return found, Refused({i: error for i in range(len(texts)) if i not in found})
        self._in_vain = 0
        return found, refused


class PartialWriter:
    """Upserts what Milvus takes of a batch."""

    def __init__(self, milvus: Milvus, collection: str) -> None:
        self._milvus, self._collection = milvus, collection
        self._in_vain = 0

    def upsert(self, rows: Sequence[dict[str, Any]]) -> Refused:
        """Which rows were refused, by position; the others are in.

        Raises:
            MilvusError: the server does not answer, with all retries, or the fault is no row's.
            IngestError: it was the last of `IN_VAIN` batches in a row that were wholly refused.
        """

        def call(positions: Sequence[int]) -> None:
            part = [rows[i] for i in positions]
            _patiently(lambda: self._milvus.upsert(self._collection, part))

        refused = _halved(range(len(rows)), call, _of_rows)
        self._in_vain = self._in_vain + 1 if rows and len(refused) == len(rows) else 0
        if self._in_vain >= IN_VAIN:
            error = next(iter(refused.values()))
            raise IngestError(
                f"`{self._collection}` took no row of {IN_VAIN} batches: {error.message}",
                hint="what is written so far is kept; mend it and run it again",
                subject=self._collection,
            ) from error
        return refused


def _halved(
    positions: Sequence[int],
    call: Callable[[Sequence[int]], None],
    is_refusal: Callable[[KitestringError], bool],
    probe: Callable[[], object] | None = None,
) -> Refused:
    """Calls with all positions; where that is refused, with each half, down to single ones.

    `probe` is something that should be taken: where it is not, its error is raised.
    """
    refused = Refused()
    taken = False
    waiting = [positions] if len(positions) else []
    while waiting:
        part = waiting.pop()
        try:
            call(part)
            taken = True
        except KitestringError as error:
            if not is_refusal(error):
                raise
            if len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
                continue
            refused[part[0]] = error
            if probe and len(refused) == SYSTEMATIC and not taken:
                probe()
    return refused


def _patiently(call: Callable[[], None]) -> None:
    import stamina

    def passing(error: Exception) -> bool:
        return isinstance(error, ServerUnreachable) or (
            isinstance(error, MilvusError) and _is_busy(error)
        )

    for attempt in stamina.retry_context(
        on=passing, attempts=_RETRIES, timeout=_DEADLINE, wait_initial=0.5, wait_max=10.0
    ):
        with attempt:
            call()


def _of_texts(error: KitestringError) -> bool:
    return isinstance(error, EmbedderFailed) and error.texts


def _of_rows(error: KitestringError) -> bool:
    return isinstance(error, MilvusError) and not isinstance(error, _WHOLE) and not _is_busy(error)


def _is_busy(error: MilvusError) -> bool:
    lowered = error.message.lower()
    return any(what in lowered for what in _BUSY)
