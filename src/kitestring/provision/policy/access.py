"""Rules about who gets in: authentication, TLS, credentials."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kitestring.provision.policy.resource import WORKLOADS, Resource
from kitestring.provision.policy.rule import Context, ResourceRule, StackRule
from kitestring.spec.plain import items, mapping, text

CONFIG_KEY = "user.yaml"
APP = "app.kubernetes.io/name"
# what Milvus, MinIO and their charts come with, and what people write instead
DEFAULTS = frozenset(
    {
        "Milvus",
        "milvus",
        "root:Milvus",
        "minioadmin",
        "minio",
        "minio123",
        "admin",
        "root",
        "password",
        "changeme",
        "secret",
    }
)
_SECRET_NAME = re.compile(r"(?i)(passw(or)?d|secret|token|(access|api|private)[_-]?key)")
# says where a secret is; or etcd's name of a cluster that is being made
_NO_SECRET = re.compile(r"(?i)((_|-)(file|path|dir|name)|initial_cluster_token)$")


def _settings(resource: Resource) -> Mapping[str, Any] | None:
    """Milvus' settings in a ConfigMap; None where it holds none, or they are not known yet."""
    if resource.kind != "ConfigMap":
        return None
    written = mapping(resource.props.get("data")).get(CONFIG_KEY)
    if not isinstance(written, str):
        return None
    try:
        return mapping(yaml.safe_load(written))
    except yaml.YAMLError:
        return {}


def _at(settings: Mapping[str, Any], dotted: str) -> Any:
    value: Any = settings
    for key in dotted.split("."):
        value = mapping(value).get(key)
    return value


def authentication_on(resource: Resource, _: Context) -> Iterator[str]:
    settings = _settings(resource)
    if settings is not None and _at(settings, "common.security.authorizationEnabled") is not True:
        yield (
            f"{resource.label}: `common.security.authorizationEnabled` is not `true`: "
            "anybody who reaches the proxy could read and drop every collection"
        )


def milvus_configured(
    resources: tuple[Resource, ...], _: Context
) -> Iterator[tuple[Resource | None, str]]:
    """Without a `user.yaml`, Milvus runs on the defaults of its image: no authentication."""
    configured = {
        r.namespace
        for r in resources
        if r.kind == "ConfigMap" and CONFIG_KEY in mapping(r.props.get("data"))
    }
    for resource in resources:
        runs = resource.kind in WORKLOADS and resource.pod_labels.get(APP) == "milvus"
        if runs and resource.namespace not in configured:
            yield (
                resource,
                f"{resource.label}: no ConfigMap of its namespace has `{CONFIG_KEY}`: "
                "Milvus would run without authentication",
            )


def tls_in_prod(resource: Resource, context: Context) -> Iterator[str]:
    settings = _settings(resource)
    if settings is None or _at(settings, "common.security.tlsMode") in (1, 2):
        return
    if context.spec is None:
        yield (
            f"{resource.label}: TLS is off, and whether this is production is not known: "
            f"{context.problem}"
        )
    elif context.spec.cluster.environment == "prod":
        yield (
            f"{resource.label}: TLS is off in production; set `deployment.security.tls` of the spec"
        )


def no_default_credentials(resource: Resource, _: Context) -> Iterator[str]:
    if resource.kind == "Secret":
        for key, value in _secret_values(resource):
            if value in DEFAULTS and _SECRET_NAME.search(key):
                yield f"{resource.label}: `{key}` is a password that everybody knows"
    settings = _settings(resource)
    for dotted in ("minio.accessKeyID", "minio.secretAccessKey"):
        if settings is not None and _at(settings, dotted):
            yield (
                f"{resource.label}: `{dotted}` stands in a ConfigMap; give it by the environment, "
                "from a Secret"
            )
    for container in resource.containers:
        for variable in map(mapping, items(container.get("env"))):
            name, given = text(variable.get("name")), text(variable.get("value"))
            # $(NAME) is another variable's value
            clear = given and not given.startswith("$(")
            if clear and _SECRET_NAME.search(name) and not _NO_SECRET.search(name):
                yield (
                    f"{resource.label}: the variable `{name}` of container "
                    f"`{text(container.get('name'))}` holds a credential in clear; take it from "
                    "a Secret (`valueFrom.secretKeyRef`)"
                )


def _secret_values(resource: Resource) -> Iterator[tuple[str, str]]:
    """Values of a Secret in clear; what is not known yet is looked at again when it is."""
    for key, value in mapping(resource.props.get("stringData")).items():
        if isinstance(value, str):
            yield key, value
    for key, encoded in mapping(resource.props.get("data")).items():
        if isinstance(encoded, str):
            try:
                yield key, base64.b64decode(encoded, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue


RULES = (
    ResourceRule("authentication-on", "Milvus asks who is there (`user.yaml`)", authentication_on),
    StackRule(
        "milvus-configured", "Every Milvus pod has a configuration of the stack", milvus_configured
    ),
    ResourceRule("tls-in-prod", "TLS is on in production", tls_in_prod, reads_spec=True),
    ResourceRule(
        "no-default-credentials",
        "No well-known passwords, and credentials in Secrets only",
        no_default_credentials,
    ),
)
