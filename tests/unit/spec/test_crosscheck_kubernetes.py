"""What an API server would refuse is an error of the spec, with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kitestring.spec.load import load

Errors = Callable[..., list[str]]

DEPLOYED = """\
version: 1
cluster: {name: test}
connection: {kubernetes: {}}
state: ./state
storage: {type: s3, bucket: milvus}
deployment:
  version: "2.5.16"
  mode: standalone
  minio: {}
"""
WORDS = "letters, digits, `-`, `_` and `.` within, at most 63 characters"
IMAGES = "NAME:TAG, or NAME@sha256:DIGEST"
KEYS = f"NAME or DOMAIN/NAME: {WORDS}"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "placement: {node_selector: {disk: 'very fast'}}",
            [f'11:31: deployment.placement.node_selector.disk: no node has such a label (got "very '
             f'fast"); allowed: {WORDS}'],
        ),
        (
            "placement: {node_selector: {'a/b/c': x}}",
            [f"11:31: deployment.placement.node_selector.a/b/c: no key of a label; allowed: "
             f"{KEYS}"],
        ),
        (
            "placement: {priority_class: Very High}",
            ['11:15: deployment.placement.priority_class: no name of a priority class (got "Very '
             'High"); allowed: lower-case letters, digits, `-` and `.` within'],
        ),
        (
            "placement: {tolerations: [{key: a, operator: Is}, {key: b, efect: NoSchedule}]}",
            ['11:38: deployment.placement.tolerations[0].operator: no such operator (got "Is"); '
             "allowed: Equal, Exists",
             "11:62: deployment.placement.tolerations[1].efect: no key of a toleration; allowed: "
             "key, operator, value, effect, tolerationSeconds"],
        ),
        (
            "placement: {tolerations: [{operator: Exists, value: x}, {value: x}]}",
            ["11:48: deployment.placement.tolerations[0].value: `operator: Exists` takes no value: "
             "remove it",
             "11:59: deployment.placement.tolerations[1]: name its `key`; for every taint write "
             "`operator: Exists`"],
        ),
        (
            "placement: {tolerations: [{key: a, effect: Never, tolerationSeconds: 5}]}",
            ['11:38: deployment.placement.tolerations[0].effect: no such effect (got "Never"); '
             "allowed: NoSchedule, PreferNoSchedule, NoExecute",
             "11:53: deployment.placement.tolerations[0].tolerationSeconds: it goes with `effect: "
             "NoExecute`"],
        ),
        (
            "roles: {standalone: {placement: {priority_class: -a}}}",
            ["11:36: deployment.roles.standalone.placement.priority_class: no name of a priority "
             'class (got "-a"); allowed: lower-case letters, digits, `-` and `.` within'],
        ),
        (
            "roles: {standalone: {resources: {cpu: '2', cpu_limit: 500m, memory: 8Gi}}}",
            ["11:46: deployment.roles.standalone.resources.cpu_limit: less than `cpu` (2) (got "
             '"500m")'],
        ),
        (
            "roles: {standalone: {resources: {cpu: '2', memory: 999999999999999999Pi}}}",
            ["11:46: deployment.roles.standalone.resources.memory: more than Kubernetes can count "
             '(got "999999999999999999Pi")'],
        ),
        (
            "namespace: kube-system",
            ["11:3: deployment.namespace: namespaces named `kube-…` are Kubernetes' own: name "
             'another (got "kube-system")'],
        ),
        (
            "namespace: default",
            ["11:3: deployment.namespace: it is there, and can't be made: say `create_namespace: "
             'false` (got "default")'],
        ),
        (
            "roles: {standalone: {termination_grace: 1ms}}",
            ["11:24: deployment.roles.standalone.termination_grace: less than a second: pods would "
             "be killed at once; allowed: from 1s"],
        ),
        (
            "images: {milvus: 'milvusdb/Milvus:2', etcd: 'etcd:'}",
            [f'11:12: deployment.images.milvus: not of the form that goes here (got "milvusdb/'
             f'Milvus:2"); allowed: {IMAGES}',
             f'11:41: deployment.images.etcd: not of the form that goes here (got "etcd:"); '
             f"allowed: {IMAGES}"],
        ),
        (
            "message_log: {type: pulsar, address: 'http://p'}",
            ['11:31: deployment.message_log.address: not the name of a host (got "http://p"); '
             "allowed: HOST, with its port in `port`"],
        ),
        (
            "etcd: {endpoints: ['e:0', 'e:99999']}",
            ['11:22: deployment.etcd.endpoints[0]: not an address (got "e:0"); allowed: HOST:PORT',
             '11:29: deployment.etcd.endpoints[1]: not an address (got "e:99999"); allowed: '
             "HOST:PORT"],
        ),
        (
            "service: {annotations: {'not a key': x}}",
            [f"11:27: deployment.service.annotations.not a key: no key of an annotation; allowed: "
             f"{KEYS}"],
        ),
        (
            "security: {tls: {type: generated, hosts: [milvus.example.com, 'http://x', ünï]}}",
            ['11:65: deployment.security.tls.hosts[1]: no name that a certificate can hold (got '
             '"http://x"); allowed: such as milvus.example.com, *.example.com or 10.0.0.7',
             '11:77: deployment.security.tls.hosts[2]: no name that a certificate can hold (got '
             '"ünï"); allowed: such as milvus.example.com, *.example.com or 10.0.0.7'],
        ),
    ],
)  # fmt: skip
def test_refused(line: str, expected: list[str], errors: Errors) -> None:
    assert errors(f"{DEPLOYED}  # a line\n  {line}\n") == [f"F:{e}" for e in expected]


@pytest.mark.parametrize(
    "line",
    [
        "placement: {node_selector: {kubernetes.io/arch: amd64, empty: ''}}",
        "placement: {tolerations: [{operator: Exists}, {key: a, operator: Equal, value: b}]}",
        "placement: {tolerations: [{key: a, effect: NoExecute, tolerationSeconds: 60}]}",
        "placement: {priority_class: system-cluster-critical}",
        "roles: {standalone: {resources: {cpu: 500m, cpu_limit: '2', memory: 8Gi}}}",
        "service: {annotations: {service.beta.kubernetes.io/aws-load-balancer-internal: 'true'}}",
        "security: {tls: {type: generated, hosts: [Milvus.example.com, '*.example.com', '::1']}}",
        "storage_class: gp3.encrypted",
        "images: {milvus: 'mirror.example.com:5000/milvusdb/milvus:v2.5.16-gpu'}",
        f"images: {{milvus: 'milvus@sha256:{'a' * 64}'}}",
        "namespace: default\n  create_namespace: false",
    ],
)
def test_accepted(line: str, spec_file: Callable[[str], Path]) -> None:
    assert load(spec_file(f"{DEPLOYED}  {line}\n"), {}).spec.deployment is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 41, "objects on Kubernetes are named after it: at most 40 characters"),
        ("7seas", "Services on Kubernetes are named after it: begin with a letter"),
    ],
)
def test_names_of_objects(name: str, message: str, errors: Errors) -> None:
    assert errors(DEPLOYED.replace("test", name, 1)) == [f"F:2:11: cluster.name: {message}"]


def test_a_cluster_without_a_deployment_has_a_longer_name(
    good: str, spec_file: Callable[[str], Path]
) -> None:
    assert load(spec_file(good.replace("test", "a" * 63, 1)), {}).spec.cluster.name == "a" * 63


@pytest.mark.parametrize(
    "address", ["http://s3:99999", "http://s3:port", "http://[::1", "http://s3:", "http://s3:0"]
)
def test_an_address_without_a_host_and_port(address: str, errors: Errors) -> None:
    text = DEPLOYED.replace("bucket: milvus", f"bucket: milvus, endpoint_url: '{address}'")
    assert errors(text) == [
        f'F:5:37: storage.endpoint_url: no host and port (got "{address}"); allowed: '
        "http://HOST:PORT or https://HOST:PORT, with a port from 1 to 65535"
    ]


@pytest.mark.parametrize("key", ["bucket: a b", "bucket: milvus, region: x y"])
def test_names_that_no_store_has(key: str, errors: Errors) -> None:
    (error,) = errors(DEPLOYED.replace("bucket: milvus", key))
    assert "not of the form that goes here" in error
