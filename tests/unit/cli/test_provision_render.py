"""`kitestring provision render`, `secrets` and `images`, as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kitestring.cli import cli, run

CLUSTERS = Path(__file__).parents[3] / "infra" / "clusters"
DEV, PROD, LOCAL = (str(CLUSTERS / f"{name}.yaml") for name in ("dev", "prod", "local"))


def _run(*arguments: str) -> int:
    return run(cli, ["provision", *arguments], "kitestring")


@pytest.mark.parametrize("spec", [DEV, PROD])
def test_render_prints_documents_and_nothing_else(
    spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("render", "--spec", spec) == 0
    out = capsys.readouterr().out
    documents = list(yaml.safe_load_all(out))
    assert {"Namespace", "ConfigMap", "Service"} <= {d["kind"] for d in documents}
    assert "Secret" not in {d["kind"] for d in documents}


def test_render_of_one_component_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("render", "--spec", PROD, "--component", "proxy", "-o", "json") == 0
    captured = capsys.readouterr()
    kinds = [item["kind"] for item in json.loads(captured.out)["items"]]
    assert "HorizontalPodAutoscaler" in kinds
    assert "StatefulSet" not in kinds


def test_render_of_an_unknown_component_lists_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run("render", "--spec", DEV, "--component", "proxy") == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "standalone" in captured.err


@pytest.mark.parametrize("verb", ["render", "images", "secrets"])
def test_a_spec_without_a_deployment(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(verb, "--spec", LOCAL) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "local.yaml:" in captured.err
    assert "nothing to provision" in captured.err


def test_secrets_are_new_each_time_and_never_well_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = []
    for _ in range(2):
        assert _run("secrets", "--spec", DEV) == 0
        documents = yaml.safe_load_all(capsys.readouterr().out)
        made.append({d["metadata"]["name"]: d["stringData"] for d in documents})
    assert made[0]["dev-root"]["password"] != made[1]["dev-root"]["password"]
    assert made[0]["dev-root"]["token"] == f"root:{made[0]['dev-root']['password']}"
    assert made[0]["dev-root"]["password"] != "Milvus"


def test_images_are_a_list_for_a_mirror(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("images", "--spec", DEV) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "docker.io/milvusdb/milvus:v2.3.5" in lines
    assert len(lines) == 3


def test_rendering_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from kitestring.cli import cli, run\n"
        f"assert run(cli, ['provision', 'render', '--spec', {PROD!r}], 'kitestring') == 0\n"
        "heavy = {'pymilvus', 'pulumi', 'kubernetes', 'pyarrow', 'numpy', 'boto3'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
