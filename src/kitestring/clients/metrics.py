"""Metrics of a server: from its own endpoint in the text format, or out of Prometheus.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from kitestring.errors import MetricsUnreadable

_MOST = 64 * 2**20  # bytes of an answer


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    labels: Mapping[str, str]
    value: float


def scrape(url: str, *, timeout: float) -> list[Sample]:
    """All samples of one endpoint.

    Raises:
        MetricsUnreadable: nobody answers, or not in the text format.
    """
    text = _get(url, timeout, "")
    try:
        return [
            Sample(one.name, one.labels, one.value)
            for family in text_string_to_metric_families(text)
            for one in family.samples
        ]
    except ValueError as error:
        raise MetricsUnreadable(
            f"{url} does not answer in the text format of metrics: {error}",
            hint="the metrics of Milvus are at port 9091, path /metrics",
            subject=url,
        ) from None


def query(base: str, expression: str, *, timeout: float, token: str = "") -> list[Sample]:
    """The samples of an instant query to Prometheus.

    Raises:
        MetricsUnreadable: nobody answers, or Prometheus refuses the query.
    """
    url = f"{base.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        said = json.loads(_get(url, timeout, token))
        if said["status"] != "success":
            raise MetricsUnreadable(
                f"{base}: {said.get('error', 'the query failed')}", subject=base
            )
        return [
            Sample(
                one["metric"].get("__name__", ""),
                {k: v for k, v in one["metric"].items() if k != "__name__"},
                float(one["value"][1]),
            )
            for one in said["data"]["result"]
        ]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise MetricsUnreadable(
            f"{base} does not answer as Prometheus does",
            hint="correct `metrics.prometheus` of the spec: the address without a path",
            subject=base,
        ) from None


def _get(url: str, timeout: float, token: str) -> str:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise MetricsUnreadable(f"{url} is no http or https address", subject=url)
    request = urllib.request.Request(url)  # noqa: S310 - the scheme was looked at
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    shown = url.split("?", 1)[0]
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            body: bytes = answer.read(_MOST + 1)
    except urllib.error.HTTPError as error:
        why = f"{error.code} {error.reason}"
        # Prometheus says in the body what it does not like
        with suppress(ValueError, KeyError, TypeError, OSError):
            why = f"{why}: {json.loads(error.read(65536))['error']}"
        raise MetricsUnreadable(f"{shown} answers {why}", subject=shown) from None
    except (OSError, ValueError) as error:
        raise MetricsUnreadable(
            f"no metrics at {shown}: {getattr(error, 'reason', error)}",
            hint="check `metrics` in the spec, and that the server runs",
            subject=shown,
        ) from None
    if len(body) > _MOST:
        raise MetricsUnreadable(f"{shown} answers more than 64 MiB", subject=shown)
    return body.decode("utf-8", "replace")
