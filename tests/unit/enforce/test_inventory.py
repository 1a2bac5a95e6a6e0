"""Clusters out of specs and stacks, as hosts of an inventory."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kitestring.enforce.inventory import list_clusters
from kitestring.errors import KitestringError, ProvisionError, SpecInvalid, SpecNotFound, UsageError

SPEC = """\
version: 1
cluster: {{name: {name}, environment: {of}}}
connection: {{uri: "{uri}"}}
state: state
"""
URI = "http://milvus.example.com:19530"


@pytest.fixture
def spec(tmp_path):
    def write(name, of="prod", file=None):
        path = tmp_path / "clusters" / (file or f"{name}.yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(SPEC.format(name=name, of=of, uri=URI))
        return path

    return write


@pytest.fixture
def outputs(tmp_path):
    def write(**values):
        (tmp_path / "outputs.json").write_text(json.dumps(values))
        return {"outputs": "outputs.json"}

    return write


def test_specs_of_a_folder_are_clusters_by_name(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("KITESTRING__CLUSTER__NAME", "another")
    west, east = spec("west", "dev", "1.yaml"), spec("east", "prod", "2.yaml")
    found = list_clusters(["clusters/*.yaml", str(west)], [], tmp_path)
    assert [c.variables() for c in found] == [
        {
            "kitestring_cluster": name,
            "kitestring_environment": of,
            "kitestring_spec": str(file),
            "kitestring_endpoint": URI,
        }
        for name, of, file in (("east", "prod", east), ("west", "dev", west))
    ]


def test_a_stack_adds_to_its_spec_and_may_name_it(spec, outputs, tmp_path):
    file = spec("east")
    listed = outputs(cluster="east", endpoint="https://east:19530", root_secret="s")
    by_name = list_clusters(["clusters/*.yaml"], [listed], tmp_path)
    by_path = list_clusters([], [outputs(spec="clusters/east.yaml", endpoint="x")], tmp_path)
    here = list_clusters([], [{**outputs(endpoint="y"), "spec": "clusters/east.yaml"}], tmp_path)
    assert [c.endpoint for c in (*by_name, *by_path, *here)] == ["https://east:19530", "x", "y"]
    assert {c.spec for c in (*by_name, *by_path, *here)} == {str(file)}
    assert by_name[0].outputs["root_secret"] == "s"
    (alone,) = list_clusters([], [outputs(cluster="far", environment="test")], tmp_path)
    assert alone.variables() == {
        "kitestring_cluster": "far",
        "kitestring_environment": "test",
        "kitestring_outputs": {"cluster": "far", "environment": "test"},
    }


def test_a_command_runs_in_the_folder_of_the_program(spec, tmp_path):
    spec("east")
    say = 'import json, os; print(json.dumps({"spec": os.path.basename(os.getcwd()) + ".yaml"}))'
    program = tmp_path / "clusters" / "east"
    program.mkdir()
    (program / "east.yaml").write_text(SPEC.format(name="east", of="dev", uri=URI))
    command = [sys.executable, "-c", say]
    stack = {"command": command, "program": "clusters/east"}
    (found,) = list_clusters([], [stack], tmp_path)
    assert found.spec == str(program / "east.yaml")


def test_a_stack_by_its_name_runs_the_cli(tmp_path, monkeypatch):
    (tmp_path / "pulumi").write_text(
        '#!/bin/sh\necho "{\\"cluster\\": \\"east\\", \\"endpoint\\": \\"$*\\"}"\n'
    )
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (found,) = list_clusters([], [{"stack": "prod"}], tmp_path)
    assert found.endpoint == "stack output --json --non-interactive --stack=prod"


WRONG = [
    (["none/*.yaml"], [], SpecNotFound, "no spec at"),
    (["clusters/*.yaml"], [], UsageError, "`east` is listed twice: by "),
    (["bad.yaml"], [], SpecInvalid, "bad.yaml"),
    ([], [{"outputs": "none.json"}], ProvisionError, "none.json can't be read"),
    ([], [{"outputs": "bad.yaml"}], ProvisionError, "gives no JSON"),
    ([], [{"outputs": "list.json"}], ProvisionError, "no object"),
    ([], [{"outputs": "empty.json"}], UsageError, "does not tell of which cluster"),
    ([], [{"command": ["false"]}], ProvisionError, "`false`: false ended with 1"),
    ([], [{"command": ["/no/such"]}], ProvisionError, "No such file"),
    ([], [{"stack": "a", "outputs": "b"}], UsageError, "one of `stack`, `outputs`"),
    ([], [{"stak": "a"}], UsageError, "has no `stak`"),
    ([], [{"outputs": "far.json"}, {"outputs": "far.json"}], UsageError, "listed twice"),
]


@pytest.mark.parametrize(("specs", "stacks", "kind", "said"), WRONG)
def test_what_is_wrong_is_said(spec, tmp_path, specs, stacks, kind, said):
    spec("east")
    spec("east", file="again.yaml")
    (tmp_path / "bad.yaml").write_text("version: 1\ncluster: {name: X}\n")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "far.json").write_text('{"cluster": "far"}')
    with pytest.raises(KitestringError, match=said) as failed:
        list_clusters(specs, stacks, Path(tmp_path))
    assert type(failed.value) is kind
