"""Kubeconfigs that can't be used give an error that says what to do."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kitestring.clients.kube.connect import connect
from kitestring.clients.kube.failures import from_answer
from kitestring.errors import (
    KubernetesDenied,
    KubernetesError,
    KubernetesUnreachable,
    ManifestRejected,
)

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: one
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: abc}}}}]
contexts:
  - {{name: one, context: {{cluster: c, user: u, namespace: here}}}}
  - {{name: two, context: {{cluster: c, user: u}}}}
"""


@pytest.fixture
def kubeconfig(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        path = tmp_path / "kubeconfig"
        path.write_text(KUBECONFIG.format(port=taken.getsockname()[1]))
        yield str(path)


def test_context_and_namespace(kubeconfig):
    with connect(None, kubeconfig) as kube:
        assert kube.target == f"context `one` of {kubeconfig}"
        assert kube.namespace == "here"
    with connect("two", kubeconfig) as kube:
        assert kube.namespace == "default"


def test_nothing_answers(kubeconfig):
    with connect(None, kubeconfig) as kube, pytest.raises(KubernetesUnreachable) as caught:
        kube.version()
    assert "Connection refused" in caught.value.message
    assert f"context `one` of {kubeconfig}" in caught.value.hint


def test_unknown_context(kubeconfig):
    with pytest.raises(KubernetesUnreachable, match="no context `nope`; it has `one`, `two`"):
        connect("nope", kubeconfig)


@pytest.mark.parametrize("content", ["", "{", "a: b", "- x", "current-context: x", "contexts: []"])
def test_broken_kubeconfig(tmp_path, content):
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(KubernetesUnreachable) as caught:
        connect(None, str(path))
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_no_kubeconfig(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(KubernetesUnreachable, match="there is no kubeconfig"):
        connect()


def answer(status, message, **details):
    body = json.dumps({"kind": "Status", "message": message, "details": details}).encode()
    return from_answer(status, body, what="apply Deployment/ns/x", target="context `one`")


@pytest.mark.parametrize(
    ("status", "message", "details", "kind"),
    [
        (401, "Unauthorized", {}, KubernetesDenied),
        (403, 'deployments is forbidden: User "x" cannot patch', {}, KubernetesDenied),
        (403, "exceeded quota: memory", {}, ManifestRejected),
        (404, 'namespaces "ns" not found', {"kind": "namespaces"}, ManifestRejected),
        (404, "not found", {}, KubernetesError),
        (422, "Invalid", {}, ManifestRejected),
        (500, "failed to create typed patch object: .spec.foo", {}, ManifestRejected),
        (503, "etcd is away", {}, KubernetesError),
    ],
)
def test_answers(status, message, details, kind):
    error = answer(status, message, **details)
    assert type(error) is kind
    assert "apply Deployment/ns/x" in error.message or status == 401


def test_a_rejection_names_the_fields_and_leaves_out_dumps():
    error = answer(
        422,
        "long",
        causes=[{"field": "spec.replicas", "message": "Invalid value: -1\nv1.Spec{…}"}],
    )
    assert error.fields == ("spec.replicas",)
    assert error.message.endswith("spec.replicas: Invalid value: -1")


def test_an_answer_that_is_no_json():
    error = from_answer(502, b"<html>bad gateway</html>", what="read x", target="t")
    assert type(error) is KubernetesError
    assert "bad gateway" in error.message


def test_threads_that_connect_at_once_all_have_the_certificate(tmp_path, monkeypatch):
    """The package names the file of a certificate before it has written it."""
    from kubernetes.config import kube_config

    names = base64.b64encode(b"certificate").decode()
    path = tmp_path / "kubeconfig"
    user = f"client-certificate-data: {names}, client-key-data: {names}"
    text = KUBECONFIG.format(port=1).replace("http://", "https://").replace("token: abc", user)
    path.write_text(text)
    started = threading.Barrier(2)

    def slow(*args, **kwargs):
        time.sleep(0.3)
        return open(*args, **kwargs)  # noqa: PTH123

    monkeypatch.setattr(kube_config, "open", slow, raising=False)
    monkeypatch.setattr(kube_config, "_temp_files", {})

    def certificate(_):
        started.wait()
        with connect(None, str(path)) as kube:
            return Path(kube.configuration.cert_file).read_bytes()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(certificate, range(2))) == [b"certificate", b"certificate"]
