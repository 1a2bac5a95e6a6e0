"""What the engine printed, read as infrastructure. The files in `data` are a real engine's output
(shortened) for a program of a ConfigMap, a Service and a Deployment, after somebody scaled the
Deployment, set a variable, added another, changed the ConfigMap and deleted the Service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kitestring.errors import ProvisionError, UsageError
from kitestring.provision.engine import infra_from_pulumi
from kitestring.provision.pulumi_json import parsed, read_pulumi_json

DATA = Path(__file__).parent / "data"
ENV = "spec.template.spec.containers[0].env"


def read(name):
    return read_pulumi_json((DATA / name).read_text(), name)


def told(snapshot):
    return sorted(
        (str(one.ref), c.path, c.expected, c.observed, c.origin)
        for one in snapshot.changed
        for c in one.changes
    )


BY_HAND = [
    ("ConfigMap/default/pul-config", "data.a", "1", "9", "hand"),
    ("Deployment/default/pul-dep", "spec.replicas", "1", "3", "hand"),
    ("Deployment/default/pul-dep", f"{ENV}[0].value", "1", "2", "hand"),
    ("Deployment/default/pul-dep", f"{ENV}[1]", "", '{"name": "B", "value": "3"}', "hand"),
]


@pytest.mark.parametrize("name", ["preview.json", "refresh.json"])
def test_both_commands_tell_the_same(name):
    snapshot = read(name)
    assert told(snapshot) == BY_HAND
    assert "Service/default/pul-svc" in [str(ref) for ref in snapshot.missing]
    assert (snapshot.source, snapshot.target) == ("pulumi", "the stack `dev`")
    assert not snapshot.same


def test_a_resource_that_the_program_has_and_the_stack_has_not():
    assert "ConfigMap/default/pul-more" in [str(ref) for ref in read("preview.json").missing]


def test_what_the_spec_changed_is_told_from_what_was_changed_by_hand():
    data = json.loads((DATA / "preview.json").read_text())
    for step in data["steps"]:
        if step["op"] == "refresh" and step["urn"].endswith("n-config"):
            step["oldState"]["inputs"]["data"]["a"] = "9"  # what is live is what was deployed
    snapshot = read_pulumi_json(json.dumps(data), "x")
    assert ("ConfigMap/default/pul-config", "data.a", "1", "9", "spec") in told(snapshot)


def test_fields_that_others_own_by_now_are_changes():
    snapshot = read("conflicts.json")
    found = {(str(o.ref), c.path, c.manager) for o in snapshot.changed for c in o.changes}
    assert found == {
        ("ConfigMap/default/pul-config", "data.a", "kubectl-patch"),
        ("Deployment/default/pul-dep", "spec.replicas", "kubectl (scale)"),
        (
            "Deployment/default/pul-dep",
            'spec.template.spec.containers[name="c"].env[name="A"].value',
            "kubectl-set",
        ),
    }


def test_a_preview_without_refresh_proves_nothing():
    with pytest.raises(ProvisionError, match="not with what is live"):
        read("without_refresh.json")


def test_a_failed_engine_is_an_error():
    data = json.loads((DATA / "preview.json").read_text())
    data["diagnostics"] = [{"severity": "error", "message": "error: no such provider\n"}]
    with pytest.raises(ProvisionError, match="no such provider"):
        read_pulumi_json(json.dumps(data), "x")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"steps": 3}', '{"steps": [1]}', "null"])
def test_something_else(text):
    with pytest.raises(ProvisionError, match="is not what the Pulumi engine prints"):
        read_pulumi_json(text, "x.json")


def test_a_replacement_is_said():
    data = json.loads((DATA / "preview.json").read_text())
    for step in data["steps"]:
        if step["op"] == "update" and step["urn"].endswith("n-dep"):
            step["detailedDiff"] = {"spec.selector": {"kind": "update-replace"}}
    changed = {str(o.ref): o.rejected for o in read_pulumi_json(json.dumps(data), "x").changed}
    assert changed["Deployment/default/pul-dep"] == "it would be deleted and made anew"
    assert changed["ConfigMap/default/pul-config"] == ""


def test_paths():
    assert parsed('a.b[0]["c.d/e"].f') == ("a", "b", 0, "c.d/e", "f")


def test_a_file_or_a_stack(tmp_path, monkeypatch):
    with pytest.raises(UsageError):
        infra_from_pulumi("x", "dev", "infra")
    with pytest.raises(ProvisionError, match="can't be read"):
        infra_from_pulumi(str(tmp_path / "none"), None, "infra")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProvisionError, match="no `pulumi` on PATH"):
        infra_from_pulumi(None, "dev", "infra")


def test_an_engine_that_fails_gives_its_reason(tmp_path, monkeypatch):
    engine = tmp_path / "pulumi"
    engine.write_text("#!/bin/sh\necho 'error: no stack named dev' >&2\nexit 255\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ProvisionError, match=r"has no Pulumi\.yaml"):
        infra_from_pulumi(None, "dev", str(tmp_path))
    (tmp_path / "Pulumi.yaml").write_text("name: x\n")
    with pytest.raises(ProvisionError, match="no stack named dev"):
        infra_from_pulumi(None, "dev", str(tmp_path))
