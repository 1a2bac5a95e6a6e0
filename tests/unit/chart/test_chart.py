"""The chart rendered by helm: what a user's values do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.manifests import jobs
from kitestring.manifests.chart import chart_values
from kitestring.spec.load import load
from kitestring.spec.models import Spec
from tests.unit.chart.conftest import CHART, Objects, Refused, Render

CLUSTERS = CHART.parents[1] / "infra" / "clusters"
IMAGE = "registry.example.com:5000/tools/kitestring:0.1.0"
FILES = {"../golden/docs.yaml": "- query: what is a kite?\n"}
TEXT = {"spec": {"text": "version: 1\n"}}


def spec_of(name: str, drills: str = "embedded") -> Spec:
    environ = {
        "KITESTRING__DEPLOYMENT__JOBS__DRILL_TARGET": drills,
        "KITESTRING__DEPLOYMENT__IMAGES__KITESTRING": IMAGE,
        "KITESTRING__DEPLOYMENT__PLACEMENT__NODE_SELECTOR": "{disk: ssd}",
        "KITESTRING__DEPLOYMENT__PLACEMENT__TOLERATIONS": "[{key: data, operator: Exists}]",
        "KITESTRING__DEPLOYMENT__PLACEMENT__PRIORITY_CLASS": "low",
        "KITESTRING__DEPLOYMENT__IMAGES__PULL_SECRETS": "[mirror]",
        "KITESTRING__DEPLOYMENT__JOBS__SUSPEND": "[drill]",
    }
    return load(CLUSTERS / f"{name}.yaml", environ).spec


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    return {
        name: body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        for (kind, name), body in objects.items()
        if kind == "CronJob"
    }


def _comparable(value: Any) -> Any:
    """Without what says who made an object: helm, or the engine."""
    made_by = ("helm.sh/chart", "app.kubernetes.io/managed-by", "annotations", "namespace")
    if isinstance(value, dict):
        return {k: _comparable(v) for k, v in value.items() if k not in made_by}
    return [_comparable(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("name", "drills"), [("dev", "embedded"), ("dev", "kubernetes"), ("prod", "kubernetes")]
)
def test_the_chart_and_the_program_make_the_same_jobs(
    name: str, drills: str, render: Render
) -> None:
    spec = spec_of(name, drills)
    by_chart = render(chart_values(spec, FILES))
    by_program = {(m.kind, m.name): m.body for m in jobs.manifests(spec, FILES)}
    assert {k: _comparable(v) for k, v in by_chart.items()} == {
        k: _comparable(json.loads(json.dumps(v))) for k, v in by_program.items()
    }


@pytest.mark.parametrize("name", ["defaults", "dev", "prod"])
def test_lint_is_clean(name: str, helm: Callable[..., str], tmp_path: Path) -> None:
    values = {} if name == "defaults" else chart_values(spec_of(name), FILES)
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    assert "0 chart(s) failed" in helm(
        "lint", "--strict", str(CHART), "-f", str(tmp_path / "values.yaml")
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicaCount": 1},
        {"jobs": {"backup": {"shedule": "0 1 * * *"}}},
        {"jobs": {"nightly": {"schedule": "0 1 * * *"}}},
        {"image": {"name": "kitestring"}},
        {"credentials": {"TOKEN": "root:Milvus"}},
        {"networkPolicy": {"peers": [{"labels": {"a": "b"}, "port": [1]}]}},
    ],
    ids=lambda v: next(iter(v)),
)
def test_an_unknown_key_is_an_error(wrong: dict[str, Any], render: Render) -> None:
    with pytest.raises(Refused, match="schema"):
        render(TEXT | wrong)


def test_an_image_that_is_another_one_tomorrow_is_refused(render: Render) -> None:
    with pytest.raises(Refused, match="schema"):
        render(TEXT | {"image": {"tag": "latest"}})


def test_without_a_spec_nothing_is_made(render: Render) -> None:
    with pytest.raises(Refused, match=r"spec\.text is empty"):
        render({})


def test_two_specs_are_refused(render: Render) -> None:
    with pytest.raises(Refused, match="and not both"):
        render({"spec": {"text": "version: 1\n", "existingConfigMap": "mine"}})


def test_the_spec_of_a_file(render: Render, tmp_path: Path) -> None:
    text = (CLUSTERS / "prod.yaml").read_text()
    (tmp_path / "spec.yaml").write_text(text)
    objects = render({}, "--set-file", f"spec.text={tmp_path / 'spec.yaml'}")
    assert objects["ConfigMap", "kt-jobs"]["data"]["spec.yaml"] == text
    mounted = pods(objects)["kt-drift"]["containers"][0]
    assert mounted["args"][-2:] == ["--spec", "/etc/kitestring/spec.yaml"]


def test_a_config_map_that_is_there(render: Render) -> None:
    objects = render({"spec": {"existingConfigMap": "mine"}})
    assert not [name for kind, name in objects if kind == "ConfigMap"]
    volumes = {v["name"]: v for v in pods(objects)["kt-backup"]["volumes"]}
    assert volumes["spec"]["configMap"]["name"] == "mine"


def test_credentials_come_from_secrets(render: Render) -> None:
    values = TEXT | {"credentials": {"MILVUS_TOKEN": {"secret": "milvus-root", "key": "token"}}}
    (variable,) = pods(render(values))["kt-drift"]["containers"][0]["env"]
    assert variable == {
        "name": "MILVUS_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "milvus-root", "key": "token"}},
    }


def test_a_drill_to_kubernetes_has_rights_in_one_namespace_only(render: Render) -> None:
    objects = render(chart_values(spec_of("dev", "kubernetes"), FILES))
    assert not [kind for kind, _ in objects if kind.startswith("Cluster")]
    (role,) = [body for (kind, _), body in objects.items() if kind == "Role"]
    assert role["metadata"]["namespace"] == "dev-drills"
    tokens = {name: pod["automountServiceAccountToken"] for name, pod in pods(objects).items()}
    assert [name for name, has in tokens.items() if has] == ["dev-drill"]
    arguments = pods(objects)["dev-drill"]["containers"][0]["args"]
    assert arguments[-2:] == ["--spec", "/etc/kitestring/drill.yaml"]
    assert "--target kubernetes --namespace dev-drills" in " ".join(arguments)


def test_the_volume_outlives_the_release(render: Render) -> None:
    kept = render(TEXT)["PersistentVolumeClaim", "kt-jobs"]
    assert kept["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    gone = render(TEXT | {"state": {"keep": False}})["PersistentVolumeClaim", "kt-jobs"]
    assert "annotations" not in gone["metadata"]


def test_a_claim_that_is_there(render: Render) -> None:
    objects = render(TEXT | {"state": {"existingClaim": "mine"}})
    assert not [name for kind, name in objects if kind == "PersistentVolumeClaim"]
    volumes = {v["name"]: v for v in pods(objects)["kt-backup"]["volumes"]}
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == "mine"


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ({}, "ghcr.io/kitestring/kitestring:0.1.0"),
        ({"registry": "mirror:5000"}, "mirror:5000/kitestring/kitestring:0.1.0"),
        ({"registry": "", "tag": "2"}, "kitestring/kitestring:2"),
        (
            {"tag": "2", "digest": "sha256:" + "a" * 64},
            f"ghcr.io/kitestring/kitestring@sha256:{'a' * 64}",
        ),
    ],
)
def test_where_the_image_comes_from(image: dict[str, str], name: str, render: Render) -> None:
    found = pods(render(TEXT | {"image": image}))
    assert {pod["containers"][0]["image"] for pod in found.values()} == {name}


def test_a_job_without_a_schedule_is_not_made(render: Render) -> None:
    assert "kt-drill" not in pods(render(TEXT | {"jobs": {"drill": {"schedule": ""}}}))


def test_jobs_share_a_node_only_where_the_volume_asks_for_it(render: Render) -> None:
    assert "affinity" in pods(render(TEXT))["kt-drill"]
    many = render(TEXT | {"state": {"accessMode": "ReadWriteMany"}})
    assert "affinity" not in pods(many)["kt-drill"]


def test_pods_are_restricted_and_have_no_token(render: Render) -> None:
    objects = render(TEXT)
    assert objects["ServiceAccount", "kt-jobs"]["automountServiceAccountToken"] is False
    for pod in pods(objects).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        security = pod["containers"][0]["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True


def test_an_account_that_is_there(render: Render) -> None:
    objects = render(TEXT | {"serviceAccount": {"create": False, "name": "milvus"}})
    assert not [name for kind, name in objects if kind == "ServiceAccount"]
    assert {p["serviceAccountName"] for p in pods(objects).values()} == {"milvus"}


def test_the_network_policy_can_be_left_to_others(render: Render) -> None:
    assert ("NetworkPolicy", "kt-jobs") in render(TEXT)
    assert ("NetworkPolicy", "kt-jobs") not in render(TEXT | {"networkPolicy": {"enabled": False}})


def test_names_that_yaml_takes_for_something_else_stay_text(render: Render) -> None:
    """`1e3` is a number, `on` a truth value, to whoever reads unquoted YAML."""
    objects = render(
        TEXT
        | {
            "image": {"pullSecrets": ["123"]},
            "credentials": {
                "ON": {"secret": "1e3", "key": "0"},
                "NULL": {"secret": "y", "key": "no"},
            },
            "tls": {"secret": "1"},
            "state": {"storageClass": "0", "existingClaim": ""},
            "drills": {"namespace": "42"},
            "serviceAccount": {"create": True, "name": "7"},
            "priorityClassName": "null",
        }
    )
    pod = pods(objects)["kt-drill"]
    assert pod["imagePullSecrets"] == [{"name": "123"}]
    assert pod["priorityClassName"] == "null"
    assert pod["serviceAccountName"] == "7"
    assert {e["name"]: e["valueFrom"]["secretKeyRef"] for e in pod["containers"][0]["env"]} == {
        "ON": {"name": "1e3", "key": "0"},
        "NULL": {"name": "y", "key": "no"},
    }
    assert {v["name"]: v for v in pod["volumes"]}["tls"]["secret"]["secretName"] == "1"
    assert objects["PersistentVolumeClaim", "kt-jobs"]["spec"]["storageClassName"] == "0"
    assert objects["Role", "42"]["rules"][0]["resourceNames"] == ["42"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"priorityClassName": "a: b"},
        {"state": {"storageClass": "Fast SSD"}},
        {"tls": {"secret": "UPPER"}},
        {"serviceAccount": {"name": "ünï"}},
        {"image": {"registry": "a b"}},
        {"fullnameOverride": "n" * 41},
        {"fullnameOverride": "Kite"},
        {"state": {"size": "20 GB"}},
        {"jobs": {"drift": {"deadline": 0}}},
        {"tls": None},
        {"drills": None},
        {"jobs": {"drift": {"retries": -1}}},
        {"jobs": {"drift": {"schedule": "at noon"}}},
    ],
    ids=str,
)
def test_values_that_kubernetes_would_refuse(wrong: dict[str, Any], render: Render) -> None:
    with pytest.raises(Refused, match="schema"):
        render(TEXT | wrong)


@pytest.mark.parametrize("name", ["n" * 53, "a" * 39 + ".b", "a.b-c", "9lives"])
def test_names_of_releases_give_names_of_objects(name: str, render: Render) -> None:
    for _, made in render(TEXT, release=name):
        assert re.fullmatch(
            r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", made
        )
        assert len(made) <= 52
