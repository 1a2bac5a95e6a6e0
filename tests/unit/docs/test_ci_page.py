"""The CI page: its workflow and job are valid, and every command in it can be run as written."""

from __future__ import annotations

import json
import re
import shlex
from importlib.resources import files
from pathlib import Path

import click
import jsonschema
import pytest
import yaml

from kitestring.cli import VERBS, cli
from kitestring.cli.drift import drift
from kitestring.cli.report import destinations
from kitestring.spec.suppression import Suppression

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/ci.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
YAML = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]


def vendored(name):
    """A public schema, as the package check-jsonschema carries it."""
    folder = files("check_jsonschema").joinpath("builtin_schemas/vendor")
    return json.loads(folder.joinpath(f"{name}.json").read_text())


def test_the_workflow_of_github():
    (workflow,) = [one for one in YAML if "jobs" in one]
    asked = {("on" if key is True else key): value for key, value in workflow.items()}
    jsonschema.Draft7Validator(vendored("github-workflows")).validate(asked)
    assert asked["permissions"] == {"contents": "read", "security-events": "write"}
    steps = asked["jobs"]["drift"]["steps"]
    upload = next(s for s in steps if s.get("uses", "").startswith("github/codeql-action/upload"))
    assert upload["if"].startswith("always()")  # findings fail the step before it
    assert f"sarif={upload['with']['sarif_file']}" in steps[3]["run"]


def test_the_job_of_gitlab():
    (pipeline,) = [one for one in YAML if "drift" in one]
    jsonschema.Draft7Validator(vendored("gitlab-ci")).validate(pipeline)
    artifacts = pipeline["drift"]["artifacts"]
    assert artifacts["when"] == "always"
    assert f"junit={artifacts['reports']['junit']}" in pipeline["drift"]["script"][1]


def test_the_suppression():
    (spec,) = [one for one in YAML if "suppressions" in one]
    for entry in spec["suppressions"]:
        Suppression.model_validate(entry)


def commands():
    found = []
    for one in YAML:
        for job in [*one.get("jobs", {}).values(), one.get("drift", {})]:
            found += [step["run"] for step in job.get("steps", []) if "run" in step]
            found += job.get("script", [])
    found += [text for language, text in BLOCKS if language == "sh"]
    lines = "\n".join(found).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip()]


@pytest.mark.parametrize("line", commands())
def test_a_command_can_be_run_as_written(line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    if words[:3] == ["python", "-m", "pip"]:
        extras = re.search(r"\[(\w+)\]", words[-1])[1]
        assert f"\n{extras} = [" in (ROOT / "pyproject.toml").read_text()
        return
    script = next((word for word in words[:2] if word.startswith("scripts/")), None)
    if script:
        assert (ROOT / script).is_file()
        arguments = words[words.index(script) + 1 :]
    else:
        assert words[:2] == ["kitestring", "drift"]
        assert words[1] in VERBS
        assert cli.get_command(click.Context(cli), "drift") is drift
        arguments = words[2:]
    asked = drift.make_context("drift", arguments).params
    assert (ROOT / "infra/clusters/prod.yaml").is_file()
    assert asked["spec_file"] == "infra/clusters/prod.yaml"
    outputs = tuple(re.sub(r"=(?:/|\$).*/?", "=out", one) for one in asked["outputs"])
    destinations(outputs, asked["out"])
