"""One drift report in any of its formats; each renderer is imported when it is asked for."""

from __future__ import annotations

import importlib
import io
from typing import TextIO

from kitestring.model.checkout import Checkout
from kitestring.model.report import DriftReport

# format -> module and function; a function takes the report and the checkout
_RENDERERS = {
    "json": ("json", "drift_json"),
    "junit": ("junit", "drift_junit"),
    "sarif": ("sarif", "drift_sarif"),
    "github": ("github", "drift_github"),
    "markdown": ("markdown", "drift_markdown"),
    "html": ("html", "drift_html"),
    "prometheus": ("prometheus_drift", "drift_prometheus"),
}
FORMATS = ("text", *_RENDERERS)
_PLACED = ("sarif", "github", "junit")  # those that name files for who reads them elsewhere


def rendered_drift(report: DriftReport, output: str, checkout: Checkout | None = None) -> str:
    """The report in one of `FORMATS`; text is without colour. It ends with a line feed.

    Args:
        checkout: where the paths of `sarif`, `github` and `junit` start; None for the root of
            the file system.
    """
    if output == "text":
        plain = io.StringIO()
        write_drift(report, output, plain)
        return plain.getvalue()
    module, name = _RENDERERS[output]
    renderer = getattr(importlib.import_module(f"kitestring.render.{module}"), name)
    more = (checkout or Checkout(),) if output in _PLACED else ()
    text: str = renderer(report, *more)
    return text if text.endswith("\n") else text + "\n"


def write_drift(
    report: DriftReport, output: str, file: TextIO, checkout: Checkout | None = None
) -> None:
    """Writes the report to a stream; text is in colour where the stream is a terminal."""
    if output == "text":
        from kitestring.render.findings import write_drift as write_text

        write_text(report, file)
    else:
        file.write(rendered_drift(report, output, checkout))
    file.flush()
