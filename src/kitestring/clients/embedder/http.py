"""An endpoint that speaks the OpenAI embeddings protocol: `POST <base URL>/embeddings`."""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import stamina

from kitestring.clients.embedder.base import ModelEmbedder
from kitestring.errors import EmbedderFailed
from kitestring.spec.models import HttpModel

ATTEMPTS = 6
LONGEST_PAUSE = 60.0  # seconds; an endpoint that asks for a longer pause has failed
_REFUSED = frozenset((400, 413, 422))  # what may be these texts' fault
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))


class _Passing(Exception):
    """A failure that may pass. `pause`: seconds that the endpoint asks us to wait."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class HttpEmbedder(ModelEmbedder):
    """Batched, rate-limited, and retried where the failure may pass. Threads may share it.

    Args:
        base_url: such as `https://host/v1`.
        api_key: sent as a bearer token; empty for none. It is never part of a message.
        transport: for tests.
    """

    def __init__(
        self,
        model: HttpModel,
        base_url: str,
        api_key: str = "",
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(model)
        self._model = model
        self._url = base_url.rstrip("/") + "/embeddings"
        self._sleep = sleep
        self._next_request = 0.0
        self._turn = threading.Lock()
        try:
            self._http = httpx.Client(
                timeout=model.options.timeout,
                headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
                transport=transport,
            )
        except (UnicodeEncodeError, ValueError):
            raise EmbedderFailed(
                f"the API key of the model `{model.label}` holds characters that no header takes",
                hint="check the secret that `options.api_key` names",
                subject=model.label,
            ) from None

    def close(self) -> None:
        self._http.close()

    def _raw(self, texts: Sequence[str]) -> Any:
        step = self._model.options.batch_size
        found: list[Any] = []
        for start in range(0, len(texts), step):
            found.extend(self._batch(list(texts[start : start + step])))
        return found

    def _batch(self, texts: list[str]) -> list[Any]:
        def pause(error: Exception) -> bool | float:
            if not isinstance(error, _Passing):
                return False
            if error.pause is None:
                return True
            return error.pause if error.pause <= LONGEST_PAUSE else False

        try:
            for attempt in stamina.retry_context(
                on=pause, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=20.0
            ):
                with attempt:
                    return self._request(texts)
        except _Passing as error:
            raise EmbedderFailed(
                f"the model `{self.label}` at {self._url} does not answer: {error}",
                hint="try again later: what is written so far is kept",
                subject=self.label,
                transient=True,
            ) from error
        raise AssertionError("unreachable")

    def _request(self, texts: list[str]) -> list[Any]:
        """One request; vectors in the order of `texts`."""
        interval = 1 / self._model.options.requests_per_second
        with self._turn:  # texts may be asked for by several threads
            now = time.monotonic()
            pause = self._next_request - now
            self._next_request = max(now, self._next_request) + interval
        if pause > 0:
            self._sleep(pause)
        body = {"model": self._model.options.model, "input": texts, "encoding_format": "float"}
        try:
            answer = self._http.post(self._url, json=body)
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise _Passing(str(error) or type(error).__name__) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failed(str(error), "check the URL that `options.base_url` names") from error
        if answer.status_code in _PASSING:
            raise _Passing(f"HTTP {answer.status_code}", _retry_after(answer))
        if answer.status_code in (401, 403):
            raise self._failed(
                f"HTTP {answer.status_code}, the key is refused",
                "check the secret that `options.api_key` names",
            )
        if answer.status_code != 200:
            raise self._failed(
                f"HTTP {answer.status_code}: {answer.text[:200].strip()}",
                "check `options.base_url` and `options.model`",
                texts=answer.status_code in _REFUSED,
            )
        try:
            items = sorted(answer.json()["data"], key=lambda item: int(item["index"]))
            if [int(item["index"]) for item in items] != list(range(len(texts))):
                raise ValueError("its indexes are not those of the texts")
            return [item["embedding"] for item in items]
        except (ValueError, KeyError, TypeError) as error:
            raise self._failed(
                f"its answer is not that of an embeddings endpoint: {error}",
                "check `options.base_url`: it usually ends in /v1",
            ) from error

    def _failed(self, what: str, hint: str, *, texts: bool = False) -> EmbedderFailed:
        return EmbedderFailed(
            f"the model `{self.label}` at {self._url}: {what}",
            hint=hint,
            subject=self.label,
            texts=texts,
        )


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that `Retry-After` asks for (RFC 9110: a number, or a date); None without it."""
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
