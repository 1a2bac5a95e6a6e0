"""Every rule of the policy pack: what breaks it, and that what is provisioned passes."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.manifests.base import Manifest
from kitestring.manifests.build import build
from kitestring.provision.policy.resource import UNKNOWN, Resource, of_manifest
from kitestring.provision.policy.rule import LEVELS, Context, Violation, violations
from kitestring.provision.policy.rules import RULES
from kitestring.spec.load import load
from kitestring.spec.models import Spec

CLUSTERS = Path(__file__).parents[4] / "infra" / "clusters"
BY_ID = {rule.id: rule for rule in RULES}
Documents = list[dict[str, Any]]


def spec_of(name: str, **overlay: str) -> Spec:
    environ = {"KITESTRING__DEPLOYMENT__IMAGES__KITESTRING": "ghcr.io/kitestring/kitestring:0.1.0"}
    return load(
        CLUSTERS / f"{name}.yaml", environ | {f"KITESTRING__{k}": v for k, v in overlay.items()}
    ).spec


def stack(spec: Spec, change: Callable[[Documents], Any] = lambda _: None) -> list[Resource]:
    """The resources of a spec's deployment, after `change` had its way with the objects."""
    manifests = build(spec).manifests
    kept = {m.key for m in manifests if m.keep}
    documents: Documents = [copy.deepcopy(json.loads(json.dumps(m.body))) for m in manifests]
    change(documents)
    made = [Manifest("x", d) for d in documents]
    return [of_manifest(Manifest("x", m.body, keep=m.key in kept)) for m in made]


def found(rule: str, resources: list[Resource], spec: Spec | None) -> list[Violation]:
    return violations([BY_ID[rule]], resources, Context(spec))


def one(documents: Documents, kind: str, end: str = "") -> dict[str, Any]:
    return next(d for d in documents if d["kind"] == kind and d["metadata"]["name"].endswith(end))


def container(documents: Documents, kind: str, end: str) -> dict[str, Any]:
    first: dict[str, Any] = one(documents, kind, end)["spec"]["template"]["spec"]["containers"][0]
    return first


def without(documents: Documents, kind: str, end: str = "") -> None:
    documents.remove(one(documents, kind, end))


def settings(documents: Documents, text: str) -> None:
    one(documents, "ConfigMap", "-config")["data"]["user.yaml"] = text


def secret(documents: Documents, **body: Any) -> None:
    documents.append(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "x"}, **body}
    )


def drill(documents: Documents) -> dict[str, Any]:
    pod = one(documents, "CronJob", "-drill")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    first: dict[str, Any] = pod["containers"][0]
    return first


AUTH = "common: {security: {authorizationEnabled: true, tlsMode: 1}}"
# rule -> (what is done to the objects of prod.yaml, what the message has to say)
BREAKS: list[tuple[str, Callable[[Documents], Any], str]] = [
    ("authentication-on", lambda d: settings(d, "common: {security: {tlsMode: 1}}"), "drop every"),
    ("authentication-on", lambda d: settings(d, "{not yaml"), "authorizationEnabled"),
    ("authentication-on", lambda d: settings(d, AUTH.replace("true", "'true'")), "not `true`"),
    ("milvus-configured", lambda d: without(d, "ConfigMap", "-config"), "query-node"),
    ("tls-in-prod", lambda d: settings(d, AUTH.replace("tlsMode: 1", "tlsMode: 0")), "production"),
    (
        "no-default-credentials",
        lambda d: secret(d, stringData={"password": "Milvus"}),
        "`password` is a password that everybody knows",
    ),
    (
        "no-default-credentials",
        lambda d: secret(d, data={"token": base64.b64encode(b"root:Milvus").decode()}),
        "`token`",
    ),
    (
        "no-default-credentials",
        lambda d: secret(d, stringData={"access_key": "minioadmin"}),
        "`access_key`",
    ),
    (
        "no-default-credentials",
        lambda d: (
            container(d, "Deployment", "-proxy")
            .setdefault("env", [])
            .append({"name": "MINIO_SECRET_ACCESS_KEY", "value": "s3cr3t"})
        ),
        "`MINIO_SECRET_ACCESS_KEY`",
    ),
    (
        "no-default-credentials",
        lambda d: settings(d, "minio: {accessKeyID: a, secretAccessKey: b}"),
        "minio.secretAccessKey",
    ),
    (
        "pinned-images",
        lambda d: container(d, "Deployment", "-proxy").update(image="milvusdb/milvus:latest"),
        "another one tomorrow",
    ),
    (
        "pinned-images",
        lambda d: container(d, "Deployment", "-proxy").update(image="registry:5000/milvus"),
        "neither tag nor digest",
    ),
    ("pinned-images", lambda d: drill(d).update(image="kitestring"), "prod-eu-drill"),
    ("requests-set", lambda d: drill(d).pop("resources"), "requests.cpu, requests.memory"),
    (
        "requests-set",
        lambda d: container(d, "StatefulSet", "-etcd")["resources"].pop("limits"),
        "limits.memory",
    ),
    (
        "disruption-budgets",
        lambda d: without(d, "PodDisruptionBudget", "-query-node"),
        "3 pods and no disruption budget",
    ),
    (
        "disruption-budgets",
        # two at least, as the autoscaler says; the Deployment itself names no number
        lambda d: without(d, "PodDisruptionBudget", "-proxy"),
        "prod-eu-proxy` has 2 pods",
    ),
    (
        "disruption-budgets",
        lambda d: one(d, "PodDisruptionBudget", "-etcd")["spec"].update(
            {"maxUnavailable": 0, "minAvailable": None}
        ),
        "no node that has one can be drained",
    ),
    (
        "disruption-budgets",
        lambda d: (
            one(d, "Deployment", "-query-node")["spec"].update(replicas=1)
            or one(d, "PodDisruptionBudget", "-query-node")["spec"].update(
                {"minAvailable": 1, "maxUnavailable": None}
            )
        ),
        "lets no pod",
    ),
    (
        "no-public-load-balancer",
        lambda d: one(d, "Service", "-milvus")["spec"].update(type="LoadBalancer"),
        "internet",
    ),
    (
        "no-public-load-balancer",
        lambda d: one(d, "Service", "-milvus")["spec"].update(
            type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8", "0.0.0.0/0"]
        ),
        "internet",
    ),
    (
        "no-public-load-balancer",
        lambda d: one(d, "Service", "-milvus")["spec"].update(type="NodePort"),
        "every node, in production",
    ),
    (
        "volumes-kept",
        lambda d: one(d, "StatefulSet", "-etcd")["spec"].update(
            persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete"}
        ),
        "whenDeleted",
    ),
    (
        "volumes-kept",
        lambda d: d.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "by-hand", "namespace": "milvus"},
                "spec": {},
            }
        ),
        "`by-hand` is not protected",
    ),
    (
        "network-policy-present",
        lambda d: [d.remove(p) for p in list(d) if p["kind"] == "NetworkPolicy"],
        "prod-eu-query-node",
    ),
    (
        "network-policy-present",
        lambda d: without(d, "NetworkPolicy", "-jobs"),
        "prod-eu-backup",
    ),
]


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_what_is_provisioned_passes(name: str) -> None:
    overlay = {"COLLECTIONS__0__GOLDEN": "null"}
    spec = spec_of(name, **overlay)
    assert violations(RULES, stack(spec), Context(spec)) == []


@pytest.mark.parametrize(
    ("rule", "change", "words"), BREAKS, ids=lambda v: v[:30] if isinstance(v, str) else "broken"
)
def test_a_stack_that_breaks_the_rule(
    rule: str, change: Callable[[Documents], Any], words: str
) -> None:
    spec = spec_of("prod")
    messages = [v.message for v in found(rule, stack(spec, change), spec)]
    assert any(words in message for message in messages), messages


def test_every_rule_is_broken_by_some_test() -> None:
    about_the_spec = {"backup-declared", "backup-apart"}
    assert {rule for rule, _, _ in BREAKS} | about_the_spec == set(BY_ID)


def test_rules_say_who_they_are() -> None:
    assert len(BY_ID) == len(RULES)
    for rule in RULES:
        assert rule.level in LEVELS
        assert len(rule.description) > 20


def test_collections_without_a_backup_section() -> None:
    spec = spec_of("prod").model_copy(update={"backup": None})
    (violation,) = found("backup-declared", [], spec)
    assert "`handbook_v3`, `tickets_v1` would not be backed up" in violation.message


def test_a_collection_of_the_stack_that_the_spec_does_not_name() -> None:
    kind = "pulumi-python:dynamic/milvus:Collection"
    spec = spec_of("prod")
    known = Resource(kind, "a", {"name": "tickets_v1"})
    stranger = Resource(kind, "b", {"name": "scratch"})
    (violation,) = found("backup-declared", [known, stranger], spec)
    assert violation.resource == stranger
    assert "`scratch` is not in the spec" in violation.message


def test_without_a_spec_the_rules_that_need_one_say_so() -> None:
    for rule in ("backup-declared",):
        (violation,) = found(rule, [], None)
        assert "names no spec" in violation.message
    off = stack(
        spec_of("prod"), lambda d: settings(d, "common: {security: {authorizationEnabled: true}}")
    )
    (violation,) = found("tls-in-prod", off, None)
    assert "not known" in violation.message


def test_backups_beside_the_data() -> None:
    spec = spec_of("prod", BACKUP__STORE__BUCKET="prod-eu-milvus")
    (violation,) = found("backup-apart", [], spec)
    assert "bucket of the data" in violation.message
    assert BY_ID["backup-apart"].level == "advisory"


def test_tls_is_not_asked_of_dev() -> None:
    spec = spec_of("dev")
    off = stack(spec, lambda d: settings(d, "common: {security: {authorizationEnabled: true}}"))
    assert found("tls-in-prod", off, spec) == []


def test_an_internal_load_balancer_is_none_of_the_internets() -> None:
    spec = spec_of("prod")

    def internal(documents: Documents) -> None:
        service = one(documents, "Service", "-milvus")
        service["spec"]["type"] = "LoadBalancer"
        service["metadata"]["annotations"] = {
            "service.beta.kubernetes.io/azure-load-balancer-internal": "true"
        }

    def private(documents: Documents) -> None:
        one(documents, "Service", "-milvus")["spec"].update(
            type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.0/8", "192.168.0.0/16"]
        )

    assert found("no-public-load-balancer", stack(spec, internal), spec) == []
    assert found("no-public-load-balancer", stack(spec, private), spec) == []


def test_a_node_port_is_for_machines_without_balancers() -> None:
    spec = spec_of("dev")

    def node_port(documents: Documents) -> None:
        one(documents, "Service", "-milvus")["spec"]["type"] = "NodePort"

    assert found("no-public-load-balancer", stack(spec, node_port), spec) == []


def test_volumes_that_the_spec_gives_up() -> None:
    spec = spec_of("dev", DEPLOYMENT__KEEP_VOLUMES="false")
    assert found("volumes-kept", stack(spec), spec) == []
    claim = Resource("kubernetes:core/v1:PersistentVolumeClaim", "c", {})
    assert len(found("volumes-kept", [claim], spec_of("dev"))) == 1


def test_what_is_not_known_yet_is_no_violation() -> None:
    unknown = [
        Resource("kubernetes:core/v1:Secret", "s", {"stringData": {"password": UNKNOWN}}),
        Resource("kubernetes:core/v1:Secret", "s", {"stringData": UNKNOWN, "data": UNKNOWN}),
        Resource("kubernetes:core/v1:ConfigMap", "c", {"data": {"user.yaml": UNKNOWN}}),
        Resource(
            "kubernetes:apps/v1:Deployment",
            "d",
            {
                "spec": {
                    "replicas": UNKNOWN,
                    "template": {
                        "spec": {"containers": [{"image": UNKNOWN, "resources": UNKNOWN}]}
                    },
                }
            },
        ),
    ]
    spec = spec_of("prod")
    for rule in set(BY_ID) - {"network-policy-present", "backup-declared"}:
        assert found(rule, unknown, spec) == [], rule


def test_values_that_only_look_like_secrets() -> None:
    def harmless(documents: Documents) -> None:
        container(documents, "Deployment", "-proxy").setdefault("env", []).extend(
            [
                {"name": "TOKEN_FILE", "value": "/run/token"},
                {"name": "PASSWORD", "value": "$(OTHER)"},
                {"name": "LOG_LEVEL", "value": "minioadmin"},
            ]
        )
        secret(documents, stringData={"username": "root", "password": "Vq7…long"})

    spec = spec_of("prod")
    assert found("no-default-credentials", stack(spec, harmless), spec) == []


def test_the_how_to_names_every_rule_and_its_level() -> None:
    page = (CLUSTERS.parents[1] / "docs" / "how-to" / "policy-pack.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    listed = {row.split("`")[1]: row.rsplit("|", 2)[1].strip() for row in rows}
    assert listed == {rule.id: rule.level for rule in RULES}
