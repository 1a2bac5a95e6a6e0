"""Secrets as plans: what is made, and what is read from where the spec says. Never a value.

The Secrets of an external Kafka or Pulsar, and of a certificate that is there, are the user's:
they are referenced only.
"""

from __future__ import annotations

from kitestring.manifests.base import CertificatePlan, SecretPlan, SpecPath
from kitestring.manifests.labels import deployment_of, labels, object_name
from kitestring.spec.deployment import GeneratedTls
from kitestring.spec.models import Spec
from kitestring.spec.stores import S3Store

COMPONENT = "secrets"
PASSWORD_LENGTH = 32  # letters and digits: 190 bits; Milvus takes 6 to 72 bytes


def secret_plans(spec: Spec) -> tuple[SecretPlan, ...]:
    """A plan for each Secret that the deployment needs and that nobody else makes."""
    deployment = deployment_of(spec)
    plans = [_root(spec)]
    if deployment.minio is not None:
        plans.append(_minio(spec))
    elif deployment.identity is None:
        plans += _storage(spec)
    if isinstance(deployment.security.tls, GeneratedTls):
        plans.append(_tls(spec, deployment.security.tls))
    plans += _users(spec)
    return tuple(plans)


def service_hosts(spec: Spec) -> tuple[str, ...]:
    """Names of the Service of the proxy, and the ends of a port-forward."""
    name, namespace = object_name(spec, "milvus"), deployment_of(spec).namespace
    return (
        name,
        f"{name}.{namespace}",
        f"{name}.{namespace}.svc",
        f"{name}.{namespace}.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
    )


def _plan(
    spec: Spec, name: str, path: SpecPath, *, app: str = "milvus", **fields: object
) -> SecretPlan:
    return SecretPlan(
        component=COMPONENT,
        name=object_name(spec, name),
        namespace=deployment_of(spec).namespace,
        labels=labels(spec, app, name),
        spec_path=path,
        **fields,  # type: ignore[arg-type]
    )


def _root(spec: Spec) -> SecretPlan:
    return _plan(
        spec,
        "root",
        ("deployment", "security"),
        entries={"username": "root", "password": "{password}", "token": "root:{password}"},
        random={"password": PASSWORD_LENGTH},
    )


def _minio(spec: Spec) -> SecretPlan:
    return _plan(
        spec,
        "minio",
        ("deployment", "minio"),
        app="minio",
        entries={"access_key": "{access_key}", "secret_key": "{secret_key}"},
        random={"access_key": 20, "secret_key": 40},  # as long as AWS makes them
    )


def _storage(spec: Spec) -> list[SecretPlan]:
    store = spec.storage
    if not isinstance(store, S3Store) or store.access_key is None or store.secret_key is None:
        return []
    return [
        _plan(
            spec,
            "storage",
            ("storage",),
            entries={"access_key": "{access_key}", "secret_key": "{secret_key}"},
            refs={"access_key": store.access_key, "secret_key": store.secret_key},
            keep=False,  # the keys are the user's: they can be read again
        )
    ]


def _tls(spec: Spec, tls: GeneratedTls) -> SecretPlan:
    hosts = dict.fromkeys((*service_hosts(spec), *tls.hosts))
    return _plan(
        spec,
        "tls",
        ("deployment", "security", "tls"),
        certificate=CertificatePlan(hosts=tuple(hosts)),
        type="kubernetes.io/tls",
    )


def _users(spec: Spec) -> list[SecretPlan]:
    names = [u.name for u in (spec.access.users if spec.access else []) if u.password is None]
    if not names:
        return []
    return [
        _plan(
            spec,
            "users",
            ("access", "users"),
            entries={name: f"{{{name}}}" for name in names},
            random=dict.fromkeys(names, PASSWORD_LENGTH),
            grows=True,
        )
    ]
