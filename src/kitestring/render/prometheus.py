"""Prometheus's text format, version 0.0.4: what node_exporter's textfile collector reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric: its name ends with its base unit; samples are labels and a value."""

    name: str
    help: str
    samples: Sequence[tuple[Labels, float]]


def metrics_as_text(gauges: Iterable[Gauge]) -> str:
    """The metrics that have samples, each with its HELP and TYPE."""
    return "".join(_family(gauge) for gauge in gauges if gauge.samples)


def _family(gauge: Gauge) -> str:
    lines = [f"# HELP {gauge.name} {_escaped(gauge.help)}", f"# TYPE {gauge.name} gauge"]
    for labels, value in gauge.samples:
        inner = ",".join(f'{name}="{_label(text)}"' for name, text in labels.items())
        lines.append(f"{gauge.name}{{{inner}}} {_number(value)}" if inner else
                     f"{gauge.name} {_number(value)}")  # fmt: skip
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _label(text: str) -> str:
    return _escaped(text).replace('"', r"\"")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
