"""A bundle against a cluster in memory: what was changed by hand is found, and nothing else."""

from __future__ import annotations

import copy

import pytest

from kitestring.clients.kube.fake import FakeKube
from kitestring.errors import KubernetesDenied, KubernetesUnreachable, ManifestRejected
from kitestring.manifests.base import Bundle, Manifest, SecretPlan
from kitestring.observe.infra import compare_bundle

LABELS = {"app.kubernetes.io/instance": "n", "app.kubernetes.io/component": "proxy"}
PULUMI = "pulumi-kubernetes-1a2b"


def deployment(**spec):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "n-proxy", "namespace": "milvus", "labels": dict(LABELS)},
        "spec": {
            "replicas": 2,
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "milvus",
                            "image": "milvus:1",
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        }
                    ]
                }
            },
            **spec,
        },
    }


CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "n-config", "namespace": "milvus", "labels": dict(LABELS)},
    "data": {"user.yaml": "a: 1\nb: 2\n"},
}
HPA = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "n-proxy", "namespace": "milvus", "labels": dict(LABELS)},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "n-proxy"}, "maxReplicas": 4},
}


def bundle(*bodies, secrets=(), ignore=()):
    return Bundle(tuple(Manifest("proxy", body, ignore=ignore) for body in bodies), secrets)


@pytest.fixture
def kube():
    """Everything deployed, and ready."""
    fake = FakeKube()
    for body in (deployment(), CONFIG):
        fake.apply(body, PULUMI)
    live = fake.get("apps/v1", "Deployment", "n-proxy", "milvus")
    live["status"] = {"readyReplicas": 2, "updatedReplicas": 2}
    fake.put(live)
    return fake


def compare(kube, wanted=None):
    wanted = wanted or bundle(deployment(), CONFIG)
    return compare_bundle(wanted, kube, namespace="milvus", instance="n")


def told(snapshot):
    return [
        (str(one.ref), c.path, c.expected, c.observed, c.origin, c.manager, c.declared)
        for one in snapshot.changed
        for c in one.changes
    ]


def edit(kube, patch, manager="kubectl-edit"):
    return kube.patch("apps/v1", "Deployment", "n-proxy", "milvus", patch, manager)


def test_nothing_differs(kube):
    snapshot = compare(kube)
    assert snapshot.same
    assert (snapshot.objects, snapshot.not_ready) == (2, ())
    assert not any(call.startswith(("apply", "patch", "delete")) for call in kube.calls[2:])


def test_a_field_changed_by_hand_names_who(kube):
    edit(kube, {"spec": {"replicas": 5}})
    assert told(compare(kube)) == [
        ("Deployment/milvus/n-proxy", "spec.replicas", "2", "5", "hand", "kubectl-edit", True)
    ]


def test_a_field_added_by_hand(kube):
    edit(kube, {"metadata": {"labels": {"team": "x"}}}, "kubectl-label")
    edit(kube, {"spec": {"template": {"spec": {"hostNetwork": True}}}})
    assert [(path, observed, declared) for _, path, _, observed, *_, declared in
            told(compare(kube))] == [
        ("metadata.labels.team", "x", False),
        ("spec.template.spec.hostNetwork", "true", False),
    ]  # fmt: skip


def test_what_tools_and_controllers_write_is_not_told(kube):
    edit(kube, {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}}}, "kubectl")
    edit(kube, {"spec": {"paused": False}}, "kube-controller-manager")
    assert compare(kube).same


def test_what_a_stack_counts_is_not_told(kube):
    made = deployment()
    made["spec"]["template"]["metadata"] = {"annotations": {"kitestring/secrets": "n-tls=2"}}
    kube.apply(made, PULUMI)
    assert compare(kube).same


def test_a_label_taken_away(kube):
    edit(kube, {"metadata": {"labels": {"app.kubernetes.io/component": None}}})
    ((_, path, expected, observed, origin, manager, _),) = told(compare(kube))
    assert path == "metadata.labels[app.kubernetes.io/component]"
    assert (expected, observed, origin, manager) == ("proxy", "", "unknown", "")


def test_a_change_of_the_spec_is_told_from_one_by_hand(kube):
    wanted = deployment(replicas=3)
    container = wanted["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "milvus:2"
    del container["env"][1]
    edit(kube, {"spec": {"replicas": 5}})
    env = "spec.template.spec.containers[milvus].env[B]"
    image = "spec.template.spec.containers[milvus].image"
    assert sorted(told(compare(kube, bundle(wanted, CONFIG)))) == [
        ("Deployment/milvus/n-proxy", "spec.replicas", "3", "5", "hand", "kubectl-edit", True),
        (
            "Deployment/milvus/n-proxy",
            env,
            "",
            '{"name": "B", "value": "2"}',
            "spec",
            PULUMI,
            False,
        ),
        ("Deployment/milvus/n-proxy", image, "milvus:2", "milvus:1", "spec", PULUMI, True),
    ]


@pytest.mark.parametrize("way", ["bundle", "live", "ignore"])
def test_replicas_that_an_autoscaler_sets_are_not_told(kube, way):
    edit(kube, {"spec": {"replicas": 5}}, "kube-controller-manager")
    if way == "ignore":
        wanted = bundle(deployment(), CONFIG, ignore=("spec.replicas",))
    else:
        kube.apply(HPA, "kubectl" if way == "live" else PULUMI)
        wanted = bundle(deployment(), CONFIG, *([HPA] if way == "bundle" else []))
    snapshot = compare(kube, wanted)
    assert told(snapshot) == []
    # made by hand, with the deployment's label: the autoscaler itself is one too many
    assert [str(e.ref) for e in snapshot.extra] == (
        ["HorizontalPodAutoscaler/milvus/n-proxy"] if way == "live" else []
    )


def test_ignored_fields_are_not_given_up(kube):
    """Left out of the dry run they would be taken away, and that would show as a difference."""
    body = deployment()
    del body["spec"]["replicas"]
    assert compare(kube, bundle(body, CONFIG, ignore=("spec.replicas",))).same


def test_missing_and_extra(kube):
    kube.delete("v1", "ConfigMap", "n-config", "milvus")
    stray = copy.deepcopy(CONFIG)
    stray["metadata"]["name"] = "stray"
    kube.apply(stray, "kubectl-create")
    snapshot = compare(kube)
    assert [str(ref) for ref in snapshot.missing] == ["ConfigMap/milvus/n-config"]
    assert [(str(e.ref), e.manager) for e in snapshot.extra] == [
        ("ConfigMap/milvus/stray", "kubectl-create")
    ]


def test_what_belongs_to_something_else_is_not_extra(kube):
    for name, more in (
        ("owned", {"ownerReferences": [{"kind": "CronJob", "controller": True}]}),
        ("helm", {"labels": {**LABELS, "app.kubernetes.io/managed-by": "Helm"}}),
        ("other", {"labels": {"app.kubernetes.io/instance": "another"}}),
    ):
        metadata = {**CONFIG["metadata"], "name": name, **more}
        kube.put({**CONFIG, "metadata": metadata})
    assert compare(kube).same


def test_a_kind_that_may_not_be_listed_is_said(kube):
    real = kube.list

    def guarded(api_version, kind, *rest, **named):
        if kind == "Secret":
            raise KubernetesDenied("no")
        return real(api_version, kind, *rest, **named)

    kube.list = guarded
    assert compare(kube).unseen == ("Secret",)


def test_a_secret_is_looked_at_and_its_values_are_not(kube):
    plan = SecretPlan("secrets", "n-root", "milvus", {"password": "{p}", "token": "{p}"})
    wanted = bundle(CONFIG, secrets=(plan,))
    kube.delete("apps/v1", "Deployment", "n-proxy", "milvus")
    assert [str(r) for r in compare(kube, wanted).missing] == ["Secret/milvus/n-root"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "n-root", "namespace": "milvus"},
        "data": {"password": "aHVudGVyMg=="},
    }
    kube.put(secret)
    snapshot = compare(kube, wanted)
    assert [(path, exp, obs) for _, path, exp, obs, *_ in told(snapshot)] == [
        ("data[token]", "(secret)", "")
    ]
    assert "hunter2" not in repr(snapshot)
    assert "aHVudGVyMg==" not in repr(snapshot)


def test_a_refused_dry_run_still_says_what_differs(kube):
    def immutable(manifest):
        if manifest["kind"] == "Deployment":
            raise ManifestRejected("selector is immutable")

    kube.reject = immutable
    (one,) = compare(kube, bundle(deployment(replicas=3), CONFIG)).changed
    assert one.rejected == "selector is immutable"
    assert [(c.path, c.expected, c.observed) for c in one.changes] == [("spec.replicas", "3", "2")]


def test_a_server_that_goes_away(kube):
    kube.failure = KubernetesUnreachable("gone")
    with pytest.raises(KubernetesUnreachable):
        compare(kube)


def test_pods_that_are_not_ready_give_their_reason(kube):
    live = kube.get("apps/v1", "Deployment", "n-proxy", "milvus")
    live["status"] = {"readyReplicas": 1, "updatedReplicas": 2}
    live["spec"]["selector"] = {"matchLabels": {"a": "b"}}
    kube.put(live)
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    kube.put(
        {
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "milvus", "labels": {"a": "b"}},
            "status": {"containerStatuses": [{"state": waiting}]},
        }
    )
    (one,) = compare(kube).not_ready
    assert (one.wanted, one.observed) == ("2 pods ready", "1 ready")
    assert one.reason == "pod p: ImagePullBackOff: no such image"


def test_a_volume_that_is_not_expanded_yet(kube):
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-n-etcd-0", "namespace": "milvus"},
        "spec": {"resources": {"requests": {"storage": "20Gi"}}},
    }
    kube.apply(claim, PULUMI)
    live = kube.get("v1", "PersistentVolumeClaim", "data-n-etcd-0", "milvus")
    for capacity, late in (("10Gi", 1), ("20480Mi", 0)):
        kube.put({**live, "status": {"phase": "Bound", "capacity": {"storage": capacity}}})
        snapshot = compare(kube, bundle(deployment(), CONFIG, claim))
        assert len(snapshot.not_ready) == late
        assert snapshot.same
