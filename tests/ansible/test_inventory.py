"""The inventory plugin, in real runs of ansible-inventory and ansible-playbook."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.conftest import ROOT, PlayFor, lines

PROGRAM = Path(sys.executable).with_name("ansible-inventory")
SPEC = """\
version: 1
cluster: {{name: {name}, environment: {environment}}}
connection: {{uri: "http://127.0.0.1:1"}}
state: state-{name}
storage: {{type: local, path: milvus}}
backup: {{store: {{type: local, path: backups}}}}
objectives: {{rpo: 24h, rto: 10m, drill_every: 24h}}
"""
PLUGIN = "plugin: kitestring.milvus.clusters\n"


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """A folder with three specs, and what a stack has printed."""
    if not PROGRAM.exists():
        pytest.skip("ansible-inventory is not installed (the `ansible` extra)")
    for name, environment in (("east", "prod"), ("west", "prod"), ("lab", "dev")):
        text = SPEC.format(name=name, environment=environment)
        (tmp_path / f"{name}.yaml").write_text(text)
    outputs = {"cluster": "east", "endpoint": "https://east:19530", "root_secret": "[secret]"}
    (tmp_path / "outputs.json").write_text(json.dumps(outputs))
    return tmp_path


def listed(inventory: Path, text: str) -> tuple[dict[str, Any], str]:
    inventory.write_text(PLUGIN + text)
    command = [str(PROGRAM), "-i", str(inventory), "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    # a value that may not be a template is marked as such
    found = json.loads(done.stdout or "{}", object_hook=lambda o: o.get("__ansible_unsafe", o))
    return found, done.stderr


def test_clusters_of_specs_and_stacks_are_hosts(estate: Path) -> None:
    stack = "{command: [cat, outputs.json]}"
    asked = f"specs: [east.yaml, lab.yaml]\nstacks: [{stack}]\nlocal: false\n"
    composed = "compose: {ansible_host: \"'ops-' ~ kitestring_environment\"}\n"
    found, said = listed(estate / "clusters.yml", asked + composed)
    assert found["kitestring"]["children"] == ["kitestring_prod", "kitestring_dev"], said
    assert found["kitestring_prod"]["hosts"] == ["east"]
    variables = found["_meta"]["hostvars"]
    assert variables["east"] == {
        "ansible_host": "ops-prod",
        "kitestring_cluster": "east",
        "kitestring_environment": "prod",
        "kitestring_spec": str(estate / "east.yaml"),
        "kitestring_endpoint": "https://east:19530",
        "kitestring_outputs": json.loads((estate / "outputs.json").read_text()),
    }
    assert variables["lab"]["kitestring_endpoint"] == "http://127.0.0.1:1"


def test_what_is_wrong_is_named_with_its_place(estate: Path) -> None:
    (estate / "lab.yaml").write_text("version: 1\ncluster: {name: X}\nstate: state\n")
    found, said = listed(estate / "kitestring.yml", "specs: ['*.yaml', 'l*.yaml']\n")
    assert "kitestring" not in found
    assert "spec.invalid" in said
    assert f"{estate / 'lab.yaml'}:2:11:cluster.name" in "".join(said.split())  # it wraps lines
    assert "Traceback" not in said


def test_a_playbook_runs_on_what_is_listed(estate: Path, play: PlayFor, table: Path) -> None:
    """All at once on this machine, and with one crontab: no entry is lost."""
    inventory = estate / "clusters.yml"
    inventory.write_text(PLUGIN + "specs: ['*st.yaml', lab.yaml]\n")
    book = "playbooks/day2.yml"
    chosen = ["-i", str(inventory), "--tags", "schedule", "--skip-tags", "compaction,backup"]
    first = play(book, None, *chosen, variables=["kitestring_serial=3"])
    assert first.code == 0, first.output
    assert {line.rsplit("/", 1)[1] for line in lines(table)} == {
        "east.yaml", "west.yaml", "lab.yaml"
    }  # fmt: skip
    second = play(book, None, *chosen, "--limit", "kitestring_prod")
    assert second.changed == 0
    assert "lab" not in second.output
