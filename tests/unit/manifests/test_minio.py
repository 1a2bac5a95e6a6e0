"""MinIO: one server or a set, its keys only from a Secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kitestring.manifests import minio


def _stateful(make_spec: Any, **deployment: Any) -> Any:
    found = minio.manifests(make_spec(**deployment))
    (stateful,) = [m for m in found if m.kind == "StatefulSet"]
    return stateful.body["spec"]


def test_an_external_store_needs_none(make_spec: Any, s3: Any) -> None:
    assert minio.manifests(make_spec(minio=None, storage=s3)) == ()


def test_one_server_serves_its_directory(make_spec: Any) -> None:
    stateful = _stateful(make_spec, minio={"replicas": 1})
    container = stateful["template"]["spec"]["containers"][0]
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert container["args"][-1] == mounts["data"]


@pytest.mark.parametrize("servers", [4, 6, 16])
def test_several_servers_name_each_other(make_spec: Any, servers: int) -> None:
    stateful = _stateful(make_spec, minio={"replicas": servers})
    container = stateful["template"]["spec"]["containers"][0]
    # the pattern is MinIO's own: three dots, both ends included
    last = servers - 1
    assert container["args"][-1] == (
        f"http://kite-minio-{{0...{last}}}.kite-minio.ns.svc:9000/data"
    )
    assert stateful["replicas"] == servers
    assert stateful["podManagementPolicy"] == "Parallel"  # none is up before the others are


def test_keys_come_from_the_secret_and_stand_nowhere(make_spec: Any) -> None:
    stateful = _stateful(make_spec)
    env = {e["name"]: e for e in stateful["template"]["spec"]["containers"][0]["env"]}
    for variable, key in (
        ("MINIO_ROOT_USER", "access_key"),
        ("MINIO_ROOT_PASSWORD", "secret_key"),
    ):
        assert env[variable]["valueFrom"]["secretKeyRef"] == {"name": "kite-minio", "key": key}
    assert "minioadmin" not in json.dumps(stateful)


def test_everything_that_is_written_is_on_a_volume(make_spec: Any) -> None:
    pod = _stateful(make_spec)["template"]["spec"]
    container = pod["containers"][0]
    mounts = [m["mountPath"] for m in container["volumeMounts"]]
    certs = container["args"][container["args"].index("--certs-dir") + 1]
    assert any(certs.startswith(f"{mount}/") for mount in mounts)
    assert {"name": "tmp", "emptyDir": {}} in pod["volumes"]


def test_probes_are_those_of_minio(make_spec: Any) -> None:
    container = _stateful(make_spec)["template"]["spec"]["containers"][0]
    assert container["livenessProbe"]["httpGet"]["path"] == "/minio/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/minio/health/ready"


def test_only_a_set_has_a_budget(make_spec: Any) -> None:
    kinds = [m.kind for m in minio.manifests(make_spec(minio={"replicas": 1}))]
    assert "PodDisruptionBudget" not in kinds
    kinds = [m.kind for m in minio.manifests(make_spec(minio={"replicas": 4}))]
    assert "PodDisruptionBudget" in kinds
