"""Self-contained HTML pages: no script, no font, no image from elsewhere; plots are inline SVG.

A page is a template in `templates/` that extends `base.html.j2` and uses `macros.html.j2`. Values
are escaped by default; templates mark nothing as safe but what they build themselves.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from kitestring.model.report import GROUPS, DriftReport, group_of
from kitestring.model.words import plural
from kitestring.render.markdown import HEADINGS
from kitestring.render.words import data_size, duration, printable, when


@cache
def environment() -> Environment:
    """The templates with the filters `when`, `duration`, `plural`, `data_size`, `comma`."""
    made = Environment(
        loader=PackageLoader("kitestring.render", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html", "j2"), default=True),
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "when": when,
        "duration": duration,
        "plural": plural,
        "data_size": data_size,
        "comma": lambda number: f"{number:,}",
    }
    made.globals |= {
        "GROUPS": GROUPS,
        "HEADINGS": HEADINGS,
        "group_of": group_of,
        "model_bars": model_bars,
        "check_rows": check_rows,
    }
    return made


def _visible(value: Any) -> Any:
    """Plain text with its control characters shown: HTML knows none but white space."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value if value.isprintable() else "\n".join(map(printable, value.splitlines()))
    return value


def render_page(template: str, **values: Any) -> str:
    """The page of a template, such as `drift.html.j2`."""
    return environment().get_template(template).render(**values)


def drift_html(report: DriftReport) -> str:
    """The report as a page."""
    return render_page("drift.html.j2", report=report)


def model_bars(report: DriftReport, collection: str) -> list[tuple[str, int, str, str]]:
    """Rows by model label, the most first; labels that a check refused are marked."""
    census = report.snapshot.collections[collection].census
    labels = (census.models if census else None) or {}
    wanted = next(
        (
            f.expected
            for f in report.findings
            if f.check == "embedding.model-mismatch"
            and f.subject == f"{report.cluster}/{collection}"
        ),
        None,
    )
    return [
        (
            (label or "(no label)")
            + (" (not expected)" if (bad := _refused(label, wanted)) else ""),
            number,
            plural(number, "row"),
            "fail" if bad else "",
        )
        for label, number in sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _refused(label: str, wanted: str | None) -> bool:
    return wanted is not None and label != wanted


def check_rows(report: DriftReport, ui: Any) -> list[tuple[Any, ...]]:
    """The table of checks; `ui` is the macros' module."""
    rows: list[tuple[Any, ...]] = [
        (
            run.check,
            ui.badge(run.verdict.value, run.verdict.value),
            len(run.findings),
            f"{run.title} ({run.reason})" if run.reason else run.title,
        )
        for run in report.runs
    ]
    rows += [(left.check, ui.badge("none", "not run"), "", left.reason) for left in report.not_run]
    return rows
