"""Texts embedded in parts, by whatever runs a plan; the vectors are the same.

What asks for them, writes them and notes them stays in the one process that owns the plan.
Processes of a pool and nodes of Ray open the model of the spec themselves, once each, from the
secrets that it names; the cache stays with the owner, so that it is one.
"""

from __future__ import annotations

import os
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.embedder.base import Vectors
from kitestring.clients.embedder.cache import CachedEmbedder, LookUp
from kitestring.parallel import Executor, Serial, Workers
from kitestring.parallel.executor import ADDRESS, POOL
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import EmbeddingModel, HttpModel, SentenceTransformersModel

PART_TEXTS = 128
ENOUGH = 20_000  # texts for which other processes are started unasked: some seconds of work


class Spread:
    """A model of the spec, asked in parts; what it takes stays the caller's to close.

    Args:
        embedder: the model as this process has it, behind a cache or not.
        workers: what parts run on; None for this process alone.
    """

    def __init__(
        self,
        loaded: LoadedSpec,
        model: EmbeddingModel,
        embedder: Embedder,
        workers: Workers | None = None,
    ) -> None:
        self._loaded, self._model, self._workers = loaded, model, workers
        self._cache = embedder if isinstance(embedder, CachedEmbedder) else None
        self._embedder = embedder.model if isinstance(embedder, CachedEmbedder) else embedder
        self._token = uuid.uuid4().hex

    @property
    def label(self) -> str:
        """`name@version`, as rows carry it."""
        return self._embedder.label

    def run(self, parts: Iterable[Sequence[str]], size: int) -> Iterator[Vectors]:
        """The vectors of each part, in the order of the parts, of shape [texts, dimension]; a part
        is asked for when there is room for it.

        Args:
            size: about how many texts there are in all.

        Raises:
            EmbedderFailed, DimensionMismatch, SecretMissing: as the model does. WorkerLost,
            WorkersUnreachable, UsageError: what parts were to run on.
        """
        executor = self._executor(size)
        if executor.name in (Serial.name, "threads"):  # these see the model that is open here
            work = self._embedder.embed
        else:
            work = partial(_embed, self._task(executor.workers))
        if self._cache is None:
            yield from executor.run(work, parts)
            return
        cache, under_way = self._cache, deque[LookUp]()

        def absent() -> Iterator[Sequence[str]]:
            for texts in parts:
                under_way.append(cache.look_up(texts))
                yield under_way[-1].missing

        for vectors in executor.run(partial(_some, work, cache.dimension), absent()):
            yield cache.complete(under_way.popleft(), vectors)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape [texts, dimension]; see `run`."""
        parts = (texts[i : i + PART_TEXTS] for i in range(0, len(texts), PART_TEXTS))
        found = list(self.run(parts, len(texts)))
        if not found:
            return np.zeros((0, self._embedder.dimension), np.float32)
        vectors: Vectors = np.concatenate(found)
        return vectors

    def _executor(self, size: int) -> Executor:
        workers = self._workers
        if workers is None:
            return Serial()
        unasked = workers.on is None and ADDRESS not in os.environ
        if unasked and isinstance(self._model, SentenceTransformersModel):
            return Serial()  # it uses all processors itself, and each copy takes its memory
        executor = workers.of(size, enough=ENOUGH)
        if executor.name == POOL and isinstance(self._model, HttpModel):
            return workers.side_by_side(executor.workers)  # it waits for the endpoint
        return executor

    def _task(self, workers: int) -> _Task:
        model = self._model
        if isinstance(model, HttpModel):  # the limit holds for all of them together
            rate = model.options.requests_per_second / workers
            options = model.options.model_copy(update={"requests_per_second": rate})
            model = model.model_copy(update={"options": options})
        return _Task(self._loaded, model, self._token)


@dataclass(frozen=True, slots=True)
class _Task:
    """What a process needs to open the model."""

    loaded: LoadedSpec
    model: EmbeddingModel
    token: str


_open: dict[str, Embedder] = {}


def _embed(task: _Task, texts: Sequence[str]) -> Vectors:
    if task.token not in _open:
        for former in _open.values():
            former.close()
        _open.clear()
        _open[task.token] = make_embedder(task.loaded, task.model)
    return _open[task.token].embed(texts)


def _some(
    work: Callable[[Sequence[str]], Vectors], dimension: int, texts: Sequence[str]
) -> Vectors:
    """A part of which the cache may have had all."""
    return work(texts) if texts else np.zeros((0, dimension), np.float32)
