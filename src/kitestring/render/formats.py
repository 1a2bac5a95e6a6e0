"""One drift report in any of its formats; each renderer is imported when it is asked for."""

from __future__ import annotations

import io
from typing import TextIO

from kitestring.model.report import DriftReport


def rendered_drift(report: DriftReport, output: str) -> str:
    """The report as `text` (without colour), `json`, `markdown` or `html`."""
    if output == "text":
        plain = io.StringIO()
        write_drift(report, output, plain)
        return plain.getvalue()
    if output == "json":
        from kitestring.render.json import drift_json

        return drift_json(report)
    if output == "markdown":
        from kitestring.render.markdown import drift_markdown

        return drift_markdown(report)
    from kitestring.render.html import drift_html

    return drift_html(report) + "\n"


def write_drift(report: DriftReport, output: str, file: TextIO) -> None:
    """Writes the report to a stream; text is in colour where the stream is a terminal."""
    if output == "text":
        from kitestring.render.findings import write_drift as write_text

        write_text(report, file)
    else:
        file.write(rendered_drift(report, output))
    file.flush()
