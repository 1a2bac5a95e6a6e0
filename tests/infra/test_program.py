"""`infra/__main__.py`, run as the language host runs it, with Pulumi's mocks for the engine."""

from __future__ import annotations

import runpy
from pathlib import Path

import pulumi
import pytest
import yaml

from tests.unit.provision.pulumi_mocks import Program

INFRA = Path(__file__).resolve().parents[2] / "infra"
QUICK = {"preflight": "false"}  # no cluster is asked


def run(config: dict[str, str]) -> Program:
    return Program().run(lambda: runpy.run_path(str(INFRA / "__main__.py")), QUICK | config)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_each_stack_names_a_spec_that_is_provisioned(stack: str) -> None:
    settings = yaml.safe_load((INFRA / f"Pulumi.{stack}.yaml").read_text())["config"]
    spec = str(INFRA / settings["kitestring:spec"])
    program = run({"spec": spec})
    assert set(program.outputs) == {
        "cluster", "environment", "spec", "endpoint", "namespace", "root_secret", "tls_secret"
    }  # fmt: skip
    assert program.outputs["cluster"].startswith(stack)
    assert (program.outputs["environment"], program.outputs["spec"]) == (stack, spec)
    assert program.outputs["endpoint"].startswith("https://")
    assert program.of("MilvusCluster")
    assert program.of("RootPassword")


def test_objects_can_be_left_to_somebody_else() -> None:
    program = run({"spec": str(INFRA / "clusters" / "dev.yaml"), "objects": "false"})
    assert program.of("StatefulSet")
    assert program.of("MilvusObjects") == []


def test_the_target_is_that_of_the_stack() -> None:
    program = run({"spec": str(INFRA / "clusters" / "dev.yaml"), "context": "kind-kitestring"})
    (provider,) = [r for r in program.resources if r.type == "pulumi:providers:kubernetes"]
    assert provider.inputs["context"] == "kind-kitestring"
    (root,) = program.of("RootPassword")
    assert root.inputs["way"]["forward"]["context"] == "kind-kitestring"


def test_the_cluster_of_a_moved_kubeconfig_stays_the_same_cluster() -> None:
    program = run({"spec": str(INFRA / "clusters" / "dev.yaml")})
    (provider,) = [r for r in program.resources if r.type == "pulumi:providers:kubernetes"]
    assert provider.inputs["clusterIdentifier"] == "dev"
    assert provider.inputs["upsertExistingObjects"] == "true"
    assert provider.inputs["enablePatchForce"] == "true"


def test_a_stack_without_a_spec_says_what_to_set() -> None:
    with pytest.raises(pulumi.RunError, match="pulumi config set kitestring:spec"):
        run({})


def test_a_wrong_spec_is_an_error_with_its_line_and_nothing_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    text = (INFRA / "clusters" / "dev.yaml").read_text()
    path.write_text(text.replace("  mode: standalone\n", "  mode: standalone\n  replicas: 3\n"))
    program = Program()
    with pytest.raises(pulumi.RunError, match=r"wrong\.yaml:\d+:.*replicas"):
        program.run(lambda: runpy.run_path(str(INFRA / "__main__.py")), QUICK | {"spec": str(path)})
    assert [r for r in program.resources if r.type.startswith("kubernetes:")] == []


def test_a_missing_spec_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match=r"nowhere\.yaml"):
        run({"spec": str(tmp_path / "nowhere.yaml")})


def test_the_program_stays_thin() -> None:
    assert len((INFRA / "__main__.py").read_text().splitlines()) < 40


def test_every_setting_is_described() -> None:
    project = yaml.safe_load((INFRA / "Pulumi.yaml").read_text())
    for key, setting in project["config"].items():
        assert key.startswith("kitestring:"), key
        assert setting["type"], key
        assert setting["description"], key
