"""Infrastructure in `kitestring drift`: what is observed, and what is not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kitestring.drift.run import detect
from kitestring.errors import KubernetesUnreachable, ServerUnreachable, UsageError
from kitestring.model.infra import InfraSnapshot, ObjectRef

SPEC = """\
version: 1
cluster: {name: n}
connection: {uri: "http://127.0.0.1:1"}
state: state
storage: {type: s3, bucket: milvus, prefix: files}
deployment: {version: "2.5.16", mode: standalone, minio: {}}
"""


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    from kitestring.spec.load import load

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (tmp_path / "n.yaml").write_text(SPEC)
    return load(tmp_path / "n.yaml")


def test_only_infra_needs_no_milvus(loaded):
    seen = InfraSnapshot(True, objects=3, missing=(ObjectRef("Service", "n-milvus", "milvus"),))
    report = detect(loaded, only=["infra"], infra=seen)
    assert report.exit_code == 2
    assert [f.check for f in report.findings] == ["infra.missing"]
    assert report.server_version == "not observed"


def test_only_infra_without_a_cluster_is_an_error(loaded):
    with pytest.raises(KubernetesUnreachable, match="there is no kubeconfig"):
        detect(loaded, only=["infra"])


def test_without_infra_kubernetes_is_not_looked_at(loaded):
    """The error is Milvus's: the missing kubeconfig was never asked for."""
    with pytest.raises(ServerUnreachable):
        detect(loaded, only=["schema"])


def test_a_spec_without_deployment(tmp_path):
    from kitestring.spec.load import load

    file = tmp_path / "n.yaml"
    file.write_text("\n".join(SPEC.splitlines()[:-1]))
    with pytest.raises(UsageError, match="has no `deployment`"):
        detect(load(file), only=["infra"])


def test_the_command_reads_pulumis_json(tmp_path):
    data = Path(__file__).parents[1] / "provision/data"
    (tmp_path / "n.yaml").write_text(SPEC)
    shutil.copy(data / "preview.json", tmp_path)
    command = [sys.executable, "-m", "kitestring", "drift", "--spec", "n.yaml", "--only", "infra"]
    done = subprocess.run(
        [*command, "--pulumi-json", "preview.json", "-o", "json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "")
    report = json.loads(done.stdout)
    assert report["snapshot"]["infra"]["source"] == "pulumi"
    assert {f["check"] for f in report["findings"]} == {"infra.missing", "infra.changed",
                                                        "infra.added"}  # fmt: skip
    for wrong, code in (
        (["--pulumi-json", "none"], 1),
        (["--pulumi-json", "x", "--stack", "d"], 64),
    ):
        done = subprocess.run(
            [*command, *wrong], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (code, "")
        assert "Traceback" not in done.stderr
