"""Infrastructure: a snapshot in, literal findings out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.drift.run import run_drift
from kitestring.errors import UsageError
from kitestring.model.infra import (
    ChangedObject,
    ExtraObject,
    FieldChange,
    InfraSnapshot,
    NotReady,
    ObjectRef,
)

PROXY = ObjectRef("Deployment", "test-proxy", "milvus", "proxy", ("deployment", "roles", "proxy"))
OBSERVED = InfraSnapshot(available=True, target="context `one`", objects=9)
DEPLOYMENT = """
deployment:
  version: "2.5.16"
  mode: cluster
  minio: {}
  roles:
    proxy: {replicas: 2}
"""


@pytest.fixture
def deployed(spec_from, tmp_path):
    """The small spec with a deployment."""
    from kitestring.spec.load import load

    base = Path(spec_from().file).read_text().replace("storage: {type: local, path: milvus}", "")
    base = base.replace("cluster: {name: test}", "cluster: {name: test}" + DEPLOYMENT)
    storage = "storage: {type: s3, bucket: milvus, prefix: files}\n"
    file = tmp_path / "deployed.yaml"
    file.write_text(base + storage)
    return load(file)


def report(loaded, clean, infra, **more):
    return run_drift(loaded, replace(clean, infra=infra), only=["infra"], **more)


def told(loaded, clean, infra):
    return [
        (f.check, f.severity.value, f.subject, f.expected, f.observed)
        for f in report(loaded, clean, infra).findings
    ]


def changed(**more):
    values = {"path": "spec.replicas", "expected": "2", "observed": "5", **more}
    return replace(OBSERVED, changed=(ChangedObject(PROXY, (FieldChange(**values),)),))


def test_clean(deployed, clean):
    assert told(deployed, clean, OBSERVED) == []
    assert report(deployed, clean, OBSERVED).exit_code == 0


@pytest.mark.parametrize("infra", [None, InfraSnapshot(available=False, reason="nothing answers")])
def test_what_could_not_be_read_never_passes(deployed, clean, infra):
    result = report(deployed, clean, infra)
    assert {run.verdict.value for run in result.runs} == {"inconclusive"}
    assert result.exit_code == 3
    (finding,) = result.findings
    assert finding.message.endswith("nothing answers" if infra else "it was not read")


def test_a_change_by_hand_says_who_and_where_in_the_spec(deployed, clean):
    infra = changed(origin="hand", manager="kubectl-edit", at="2026-01-01T00:00:00Z")
    subject = "test/Deployment/milvus/test-proxy/spec.replicas"
    assert told(deployed, clean, infra) == [("infra.changed", "fail", subject, "2", "5")]
    (finding,) = report(deployed, clean, infra).findings
    assert finding.message.endswith("written by kubectl-edit at 2026-01-01T00:00:00Z")
    assert "`pulumi up`" in finding.hint
    text = deployed.file.read_text().splitlines()
    assert text[finding.location.line - 1].strip().startswith("proxy:")
    assert report(deployed, clean, infra).exit_code == 2


@pytest.mark.parametrize(
    ("more", "check", "severity"),
    [
        ({"origin": "spec", "manager": "pulumi"}, "infra.pending", "fail"),
        ({"origin": "unknown", "observed": ""}, "infra.changed", "fail"),
        ({"origin": "hand", "declared": False, "expected": ""}, "infra.added", "fail"),
        (
            {"origin": "hand", "declared": False, "path": "metadata.labels.x"},
            "infra.added",
            "warn",
        ),
        ({"origin": "spec", "declared": False, "expected": ""}, "infra.pending", "fail"),
    ],
)
def test_each_change_is_told_once(deployed, clean, more, check, severity):
    assert [found[:2] for found in told(deployed, clean, changed(**more))] == [(check, severity)]


def test_what_the_api_server_refuses(deployed, clean):
    field = FieldChange("spec.serviceName", "a", "b", "spec")
    infra = replace(OBSERVED, changed=(ChangedObject(PROXY, (field,), "immutable"),))
    (finding,) = report(deployed, clean, infra).findings
    assert "would not take" in finding.message
    assert "provision preflight" in finding.hint
    bare = replace(OBSERVED, changed=(ChangedObject(PROXY, (), "quota exceeded"),))
    (finding,) = report(deployed, clean, bare).findings
    assert "quota exceeded" in finding.message


def test_missing(deployed, clean):
    one = replace(OBSERVED, missing=(PROXY,))
    subject = "test/Deployment/milvus/test-proxy"
    assert [f[:3] for f in told(deployed, clean, one)] == [("infra.missing", "fail", subject)]
    every = replace(OBSERVED, missing=(PROXY,) * 9)
    (finding,) = report(deployed, clean, every).findings
    assert finding.message == "nothing of the deployment is there, in context `one`"


def test_extra_objects_that_run_something_fail(deployed, clean):
    infra = replace(
        OBSERVED,
        extra=tuple(
            ExtraObject(ObjectRef(kind, "x", "milvus"), "kubectl-create", "t")
            for kind in ("StatefulSet", "ConfigMap", "PersistentVolumeClaim")
        ),
    )
    assert [(f[0], f[1], f[2]) for f in told(deployed, clean, infra)] == [
        ("infra.extra", "fail", "test/StatefulSet/milvus/x"),
        ("infra.extra", "warn", "test/ConfigMap/milvus/x"),
        ("infra.extra", "warn", "test/PersistentVolumeClaim/milvus/x"),
    ]
    hints = [f.hint for f in report(deployed, clean, infra).findings]
    assert hints[2].startswith("it may hold data")


def test_kinds_that_could_not_be_listed(deployed, clean):
    result = report(deployed, clean, replace(OBSERVED, unseen=("Secret",)))
    assert result.exit_code == 3
    assert [f.check for f in result.findings] == ["infra.extra"]


def test_not_ready(deployed, clean):
    infra = replace(OBSERVED, not_ready=(NotReady(PROXY, "2 pods ready", "1 ready", "pod x"),))
    assert told(deployed, clean, infra) == [
        ("infra.not-ready", "fail", "test/Deployment/milvus/test-proxy", "2 pods ready", "1 ready")
    ]


def test_a_spec_without_deployment_has_no_infrastructure(spec_from, clean):
    result = run_drift(spec_from(), clean)
    assert not [run.check for run in result.runs if run.check.startswith("infra.")]
    with pytest.raises(UsageError, match="has no `deployment`"):
        run_drift(spec_from(), clean, only=["infra"])


def test_fingerprints_tell_fields_apart(deployed, clean):
    fields = tuple(FieldChange(f"spec.{n}", "1", "2", "hand") for n in ("a", "b"))
    infra = replace(OBSERVED, changed=(ChangedObject(PROXY, fields),))
    assert len({f.fingerprint for f in report(deployed, clean, infra).findings}) == 2


def test_every_check_is_documented():
    for name, check in BY_ID.items():
        if name.startswith("infra."):
            assert check.info.meaning
            assert check.info.mend
