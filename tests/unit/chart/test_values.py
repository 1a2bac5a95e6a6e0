"""The chart's values, schema and README agree with each other and with the program's jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from kitestring import __version__
from kitestring.cli import cli, run
from kitestring.manifests.chart import split_image
from kitestring.manifests.day2 import JOBS, TIME_ZONE, schedules
from kitestring.spec.load import load
from tests.unit.chart.conftest import CHART

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FREE = {"labels", "annotations", "files", "credentials", "nodeSelector", "global"}


def _objects(schema: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield name, schema
        for key, item in schema.items():
            yield from _objects(item, key)
    elif isinstance(schema, list):
        for item in schema:
            yield from _objects(item, name)


def test_the_defaults_keep_to_the_schema() -> None:
    jsonschema.validate(VALUES, SCHEMA)


def test_no_object_takes_keys_that_it_does_not_name() -> None:
    """milvus-helm ignores `queryNode.replicaCount` in silence; here it would be an error."""
    for name, schema in _objects(SCHEMA):
        if name not in FREE:
            assert schema.get("additionalProperties") is False, name


def test_every_key_of_the_schema_has_a_default() -> None:
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)
    for key, schema in SCHEMA["properties"].items():
        if "properties" in schema:
            assert set(schema["properties"]) == set(VALUES[key]), key


def test_jobs_are_those_of_the_program() -> None:
    assert VALUES["timeZone"] == TIME_ZONE
    assert {name: {k: v for k, v in job.items() if k != "schedule"}
            for name, job in VALUES["jobs"].items()} == {
        job.name: {
            "suspend": False,
            "spec": "spec.yaml",
            "args": list(job.arguments),
            "deadline": job.deadline,
            "late": job.late,
            "retries": job.retries,
            "scratch": job.scratch,
            "resources": {
                "requests": {"cpu": job.resources.cpu, "memory": job.resources.memory},
                "limits": {"memory": job.resources.memory},
            },
        }
        for job in JOBS
    }  # fmt: skip


def test_schedules_are_the_defaults_of_a_spec() -> None:
    spec = load(CHART.parents[1] / "infra" / "clusters" / "dev.yaml", {}).spec
    assert {name: job["schedule"] for name, job in VALUES["jobs"].items()} == schedules(spec)


def test_the_version_is_the_librarys() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == __version__


def test_the_readme_names_every_value() -> None:
    text = (CHART / "README.md").read_text()
    for key, value in VALUES.items():
        names = [f"{key}.{k}" for k in value] if isinstance(value, dict) and value else [key]
        if key == "jobs":
            names = [f"jobs.NAME.{k}" for k in VALUES["jobs"]["backup"]]
        assert [n for n in names if f"`{n}`" not in text] == []


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("ghcr.io/a/b:1", ("ghcr.io", "a/b", "1", "")),
        ("localhost/b:1", ("localhost", "b", "1", "")),
        ("mirror:5000/a/b", ("mirror:5000", "a/b", "", "")),
        ("a/b:1", ("", "a/b", "1", "")),
        ("r.io/a@sha256:" + "0" * 64, ("r.io", "a", "", "sha256:" + "0" * 64)),
        ("r.io/a:1@sha256:" + "0" * 64, ("r.io", "a", "1", "sha256:" + "0" * 64)),
    ],
)
def test_the_parts_of_an_image(image: str, parts: tuple[str, ...]) -> None:
    found = split_image(image)
    assert tuple(found[k] for k in ("registry", "repository", "tag", "digest")) == parts


def test_values_of_a_spec_without_an_image_name_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    spec = CHART.parents[1] / "infra" / "clusters" / "dev.yaml"
    assert run(cli, ["provision", "values", "--spec", str(spec)], "kitestring") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "deployment.images: no image for the day-2 jobs is named" in captured.err


def test_values_of_a_spec_keep_to_the_schema(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITESTRING__DEPLOYMENT__IMAGES__KITESTRING", "r.io/kitestring:1")
    spec = CHART.parents[1] / "infra" / "clusters" / "dev.yaml"
    assert run(cli, ["provision", "values", "--spec", str(spec)], "kitestring") == 0
    jsonschema.validate(_over(VALUES, yaml.safe_load(capsys.readouterr().out)), SCHEMA)


def _over(defaults: Any, given: Any) -> Any:
    """Values as helm merges them: mapping by mapping."""
    if not (isinstance(defaults, dict) and isinstance(given, dict)):
        return given
    merged = {k: _over(v, given[k]) if k in given else v for k, v in defaults.items()}
    return merged | {k: v for k, v in given.items() if k not in defaults}
