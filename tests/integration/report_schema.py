"""Holds a report of a real run to the schema that is published for it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from kitestring.model.report import DriftReport
from kitestring.render.json import drift_json

_SCHEMA = Path(__file__).parents[2] / "docs/reference/drift-report.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text()))


def published(report: DriftReport) -> DriftReport:
    """The same report, whose JSON is as the schema says."""
    VALIDATOR.validate(json.loads(drift_json(report)))
    return report
