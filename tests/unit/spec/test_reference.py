"""The committed schema and reference are those of the models, and the schema knows a spec."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from kitestring.spec.reference import json_schema, markdown

ROOT = Path(__file__).parents[3]
CLUSTERS = sorted((ROOT / "infra" / "clusters").glob("*.yaml"))


@pytest.mark.parametrize(
    ("name", "made"), [("spec.schema.json", json_schema), ("spec.md", markdown)]
)
def test_the_committed_file_is_fresh(name: str, made: object) -> None:
    verb = "schema" if name.endswith("json") else "reference"
    assert callable(made)
    assert (ROOT / "docs" / "reference" / name).read_text() == made(), (
        f"run: kitestring spec {verb} > docs/reference/{name}"
    )


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 90
    assert [row for row in rows if row.endswith("|  |")] == []


@pytest.mark.parametrize("file", CLUSTERS, ids=lambda f: f.name)
def test_the_json_schema_takes_the_specs_of_the_project(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text()), json.loads(json_schema()))


def test_the_json_schema_refuses_an_unknown_key() -> None:
    data = yaml.safe_load(CLUSTERS[0].read_text()) | {"colections": []}
    with pytest.raises(jsonschema.ValidationError, match="colections"):
        jsonschema.validate(data, json.loads(json_schema()))
