"""The policy pack on the real engine: what it lets through, what it stops, and what can be set.

Only previews: no cluster is needed. The provider is the stand-in, or the real one on PATH.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kitestring.manifests.build import build
from kitestring.spec.load import load
from tests.e2e.pulumi_engine import ROOT, Engine, Outcome
from tests.e2e.toolchain.build import Toolchain

PACK = ROOT / "infra" / "policy"
CLUSTERS = ROOT / "infra" / "clusters"
Documents = list[dict[str, Any]]


@dataclass
class Previews:
    """Previews of a stack of manifests under the pack; `violations` are those of the last one."""

    engine: Engine
    manifests: Path

    def run(
        self, name: str, change: Callable[[Documents], Any] = lambda _: None, *flags: str
    ) -> Outcome:
        spec_file = CLUSTERS / f"{name}.yaml"
        documents: Documents = [
            {"body": json.loads(json.dumps(m.body)), "keep": m.keep}
            for m in build(load(spec_file, {}).spec).manifests
        ]
        change(documents)
        self.manifests.write_text(json.dumps(documents))
        self.engine.init({"kitestring:spec": str(spec_file)})
        return self.engine.preview("--policy-pack", str(PACK), *flags, check=False)

    @property
    def violations(self) -> set[tuple[str, str]]:
        """(policy, level) of what the engine was told."""
        log = (self.engine.work / "events.jsonl").read_text().splitlines()
        events = [e["policyEvent"] for e in map(json.loads, log) if "policyEvent" in e]
        return {(e["policyName"], e["enforcementLevel"]) for e in events}


@pytest.fixture
def previews(toolchain: Toolchain, tmp_path: Path) -> Previews:
    manifests = tmp_path / "manifests.json"
    engine = Engine(
        tmp_path,
        toolchain.folders,
        stack="test",
        program=Path(__file__).parent / "policies",
        environment={"MANIFESTS": str(manifests)},
    )
    return Previews(engine, manifests)


def _of(documents: Documents, kind: str, end: str = "") -> dict[str, Any]:
    return next(
        d
        for d in documents
        if d["body"]["kind"] == kind and d["body"]["metadata"]["name"].endswith(end)
    )


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_what_is_provisioned_passes(name: str, previews: Previews) -> None:
    outcome = previews.run(name)
    assert outcome.ok, outcome.output
    assert previews.violations == set()
    assert "kitestring|local" in outcome.output, "the pack did not run"


def _break_much(documents: Documents) -> None:
    _of(documents, "ConfigMap", "-config")["body"]["data"]["user.yaml"] = "common: {}\n"
    _of(documents, "PersistentVolumeClaim")["keep"] = False
    documents.remove(_of(documents, "PodDisruptionBudget", "-query-node"))
    service = _of(documents, "Service", "-milvus")["body"]
    service["spec"]["type"] = "LoadBalancer"
    proxy = _of(documents, "Deployment", "-proxy")["body"]["spec"]["template"]["spec"]
    proxy["containers"][0]["image"] = "milvusdb/milvus:latest"
    proxy["containers"][0].pop("resources")
    documents.append(
        {
            "body": {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "root", "namespace": "milvus"},
                "stringData": {"password": "Milvus"},
            },
            "keep": False,
        }
    )


def test_what_breaks_rules_is_stopped_before_anything_is_made(previews: Previews) -> None:
    outcome = previews.run("prod", _break_much)
    assert not outcome.ok
    assert previews.violations == {
        (rule, "mandatory")
        for rule in (
            "authentication-on",
            "tls-in-prod",
            "no-default-credentials",
            "pinned-images",
            "requests-set",
            "disruption-budgets",
            "no-public-load-balancer",
            "volumes-kept",
        )
    }
    assert "`password` is a password that everybody knows" in outcome.output
    assert 'password: "Milvus"' not in outcome.output


def test_levels_and_the_spec_can_be_set(previews: Previews, tmp_path: Path) -> None:
    config = tmp_path / "levels.json"
    no_backup = tmp_path / "no-backup.yaml"
    lines = (CLUSTERS / "dev.yaml").read_text().split("\nbackup:")[0] + "\n"
    no_backup.write_text(lines)
    config.write_text(
        json.dumps(
            {
                "all": "advisory",
                "disruption-budgets": "disabled",
                "backup-declared": {"enforcementLevel": "mandatory", "spec": str(no_backup)},
            }
        )
    )
    outcome = previews.run("prod", _break_much, "--policy-pack-config", str(config))
    assert not outcome.ok
    assert ("backup-declared", "mandatory") in previews.violations
    assert ("pinned-images", "advisory") in previews.violations
    assert "disruption-budgets" not in {rule for rule, _ in previews.violations}
    assert "`docs_v1` would not be backed up" in outcome.output
