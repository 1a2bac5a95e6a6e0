"""Manifests as text, and errors with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.errors import SpecInvalid, UsageError
from kitestring.manifests import text
from kitestring.manifests.build import build
from kitestring.manifests.images import images
from kitestring.manifests.refuse import located, refuse
from kitestring.spec.loaded import LoadedSpec


def test_yaml_and_json_say_the_same(make_spec: Any) -> None:
    bundle = build(make_spec())
    documents = list(yaml.safe_load_all(text.to_yaml(bundle, "a.yaml")))
    assert documents == [json.loads(json.dumps(m.body)) for m in bundle.manifests]
    made = json.loads(text.to_json(bundle))
    assert made["kind"] == "List"
    assert made["items"] == documents


def test_yaml_is_plain(make_spec: Any) -> None:
    made = text.to_yaml(build(make_spec()), "a.yaml")
    assert "&id" not in made  # anchors
    assert "  user.yaml: |" in made  # a block that people can read


def test_the_header_names_the_secrets_and_how_to_make_them(make_spec: Any) -> None:
    made = text.to_yaml(build(make_spec()), "infra/clusters/a.yaml")
    header = [line for line in made.splitlines() if line.startswith("#")]
    assert "ns/kite-root, ns/kite-minio" in header[0]
    assert "kitestring provision secrets --spec infra/clusters/a.yaml" in header[1]


def test_one_component_and_the_secrets_that_it_needs(make_spec: Any) -> None:
    part = text.chosen(build(make_spec()), "query_node")
    assert part.components == ("query_node",)
    assert [s.name for s in part.secrets] == ["kite-minio"]
    with pytest.raises(UsageError, match="no component `nodes`") as caught:
        text.chosen(build(make_spec()), "nodes")
    assert "query_node" in caught.value.hint


def test_each_image_is_listed_once(make_spec: Any) -> None:
    uses = images(make_spec())
    lines = text.images_text(uses).splitlines()
    assert len(lines) == len(set(lines)) == 4  # etcd, MinIO, Kafka, Milvus
    listed = json.loads(text.images_json(uses))
    assert [entry["image"] for entry in listed["images"]] == lines
    (milvus,) = [e for e in listed["images"] if "milvusdb" in e["image"]]
    assert "query_node" in milvus["components"]


def test_an_error_of_a_builder_gets_file_and_line(make_spec: Any) -> None:
    path = ("deployment", "config", "mq.type")
    loaded = LoadedSpec(make_spec(), Path("a.yaml"), {path: (12, 5)})
    expected = r"^a\.yaml:12: deployment\.config\.mq\.type: no"
    with pytest.raises(SpecInvalid, match=expected), located(loaded):
        raise refuse(path, "no")


@pytest.mark.parametrize("value", ["y", "N", "1e3", "12E4", "1.5e3", "0o17", "on", "1_000", "null"])
def test_text_stays_text_for_other_readers_of_yaml(value: str) -> None:
    """Go's YAML, which kubectl and helm read with, takes more for numbers than PyYAML does."""
    assert text.yaml_documents([{"commit": value}]) == f"---\ncommit: '{value}'\n"


def test_the_command_in_the_header_can_be_pasted(make_spec: Any) -> None:
    made = text.to_yaml(build(make_spec()), "my specs/a.yaml")
    assert "--spec 'my specs/a.yaml' | kubectl" in made
