"""`metrics`: one place to read from, and a memory to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.spec.plain import items, mapping
from kitestring.spec.problems import Problem


def check_metrics(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of a spec's `metrics`."""
    if data.get("metrics") is None:
        return
    metrics = mapping(data.get("metrics"))
    scraped, asked = bool(items(metrics.get("endpoints"))), metrics.get("prometheus") is not None
    if scraped and asked:
        yield Problem(("metrics", "prometheus"), "`endpoints` say it already: keep one of them")
    embedded = mapping(data.get("connection")).get("embedded") is not None
    if not scraped and not asked and not embedded:
        yield Problem(
            ("metrics",),
            "name the metrics: `endpoints: [http://HOST:9091/metrics]`, or `prometheus`",
        )
    for key in ("select", "token"):
        if metrics.get(key) and not asked:
            yield Problem(("metrics", key), "only with `prometheus`")
    if metrics.get("node_memory") is None and data.get("deployment") is None:
        yield Problem(
            ("metrics",),
            "`node_memory` is missing: without `deployment`, nothing says how much a node has",
        )
