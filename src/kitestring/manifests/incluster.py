"""The spec as the day-2 jobs read it: inside the cluster, with paths and secrets of their pods.

Pure: the user's spec in, another spec out, and a list of where its secrets are. What a pod can't
have is left out: the kubeconfig's `deployment` (a pod has no token for the API), users' passwords
(no job needs them), golden queries whose text was not given. A drill to Kubernetes has a token, and
a second file with the deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from kitestring.manifests import drill_home
from kitestring.manifests.dependencies import object_store
from kitestring.manifests.labels import deployment_of, object_name
from kitestring.spec.backup import AgeEncryption
from kitestring.spec.deployment import GivenTls
from kitestring.spec.models import Spec
from kitestring.spec.show import plain
from kitestring.spec.stores import S3Store
from kitestring.spec.types import FROM_FILE, SecretRef
from kitestring.spec.yamltext import to_yaml

HOME = "/var/lib/kitestring"  # the volume: state/, and backups/ where the store is local
SPEC_DIR = "/etc/kitestring"  # the ConfigMap: spec.yaml and files that it names
SPEC_FILE = f"{SPEC_DIR}/spec.yaml"
TLS_DIR = "/run/kitestring/tls"  # ca.crt
MILVUS_PORT = 19530
_NO_PASSWORD = "USER_PASSWORDS_ARE_NOT_GIVEN_TO_JOBS"  # noqa: S105 - a variable that is never set


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One value of a Secret of the namespace."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class InCluster:
    """The derived spec.

    `env` maps each variable that it names to its Secret; `refs` says where the values of the
    jobs' own Secret come from; `tls_secret` is the Secret whose `ca.crt` goes to TLS_DIR.
    """

    spec: Spec
    text: str
    files: Mapping[str, str] = field(default_factory=dict)  # name in SPEC_DIR -> content
    env: Mapping[str, SecretKey] = field(default_factory=dict)
    refs: Mapping[str, SecretRef] = field(default_factory=dict)
    tls_secret: str | None = None


def jobs_name(spec: Spec) -> str:
    """Name of everything that the jobs share: ConfigMap, Secret, claim, account, policy."""
    return object_name(spec, "jobs")


def service_host(spec: Spec) -> str:
    """The name of the Service of the proxy, as every pod of the cluster resolves it."""
    return f"{object_name(spec, 'milvus')}.{deployment_of(spec).namespace}.svc"


def tls_secret(spec: Spec) -> str | None:
    """The Secret with the certificate of the proxy; None where it speaks without TLS."""
    tls = deployment_of(spec).security.tls
    if tls is None:
        return None
    return tls.secret if isinstance(tls, GivenTls) else object_name(spec, "tls")


def in_cluster(spec: Spec, files: Mapping[str, str] | None = None) -> InCluster:
    """The spec for pods beside Milvus.

    Args:
        files: path as the spec writes it -> text, of golden queries and of trusted public keys.
            Golden queries that are not given are left out.

    Raises:
        SpecInvalid: Milvus has nowhere to keep its segments.
    """
    data = plain(spec)
    env: dict[str, SecretKey] = {}
    taken: dict[str, str] = {}
    refs: dict[str, SecretRef] = {}

    def own(name: str, reference: SecretRef | None) -> dict[str, str] | None:
        """A value that is copied into the Secret of the jobs."""
        if reference is None:
            return None
        refs[name] = reference
        return given(name.upper(), SecretKey(jobs_name(spec), name))

    def given(variable: str, key: SecretKey) -> dict[str, str]:
        env[variable] = key
        return {"env": variable}

    def take(path: str, what: str, suffix: str) -> str:
        """A file that goes along in the ConfigMap, under a name of its own."""
        name = f"{what}-{sha256(path.encode()).hexdigest()[:8]}.{suffix}"
        taken[name] = (files or {}).get(path, "")
        return name

    deployment, data["deployment"] = data["deployment"], None
    data["state"] = f"{HOME}/state"
    root = SecretKey(object_name(spec, "root"), "token")
    data["connection"] = _connection(spec) | {"token": given("MILVUS_TOKEN", root)}
    data["storage"] = _storage(spec)
    store = object_store(spec)
    if data["storage"] is not None and store.keys is not None:
        for name in ("access_key", "secret_key"):
            key = SecretKey(store.keys, name)
            data["storage"][name] = given(f"STORAGE_{name.upper()}", key)
    elif data["storage"] is not None and store.provider != "aws":
        # the S3 protocol of other providers knows keys only
        for name in ("access_key", "secret_key"):
            reference = getattr(spec.storage, name, None)
            data["storage"][name] = own(f"storage_{name}", reference)
    if spec.backup is not None:
        if isinstance(spec.backup.store, S3Store):
            for name in ("access_key", "secret_key"):
                reference = getattr(spec.backup.store, name)
                data["backup"]["store"][name] = own(f"backup_{name}", reference)
        else:
            data["backup"]["store"]["path"] = f"{HOME}/backups"
        if isinstance(spec.backup.encryption, AgeEncryption):
            identity = own("backup_identity", spec.backup.encryption.identity)
            data["backup"]["encryption"]["identity"] = identity
        if spec.backup.signing is not None:
            signing = data["backup"]["signing"]
            signing["key"] = own("backup_signing_key", spec.backup.signing.key)
            signing["trusted"] = [take(path, "trusted", "pem") for path in signing["trusted"]]
    for number, model in enumerate(spec.models):
        if model.provider == "openai":
            for name in ("base_url", "api_key"):
                reference = getattr(model.options, name)
                data["models"][number]["options"][name] = own(f"model_{number}_{name}", reference)
    for user in (data["access"] or {}).get("users", []):
        user["password"] = {"env": _NO_PASSWORD}
    for collection in data["collections"]:
        path = collection["golden"]
        if path is not None:
            there = path in (files or {})
            collection["golden"] = take(path, "golden", "yaml") if there else None
    if drill_home.wanted(spec):
        with_it = {**data, "deployment": deployment}
        taken[drill_home.SPEC_FILE_NAME] = to_yaml(_without_none(with_it))
    cleaned = _without_none(data)
    return InCluster(
        Spec.model_validate(cleaned, context=FROM_FILE),
        to_yaml(cleaned),
        taken,
        dict(sorted(env.items())),
        refs,
        tls_secret(spec),
    )


def _connection(spec: Spec) -> dict[str, Any]:
    secret = tls_secret(spec)
    scheme = "https" if secret else "http"
    made: dict[str, Any] = {
        "uri": f"{scheme}://{service_host(spec)}:{MILVUS_PORT}",
        "database": spec.connection.database,
        "timeout": plain(spec)["connection"]["timeout"],
    }
    if secret:
        # a certificate that was given need not know the Service's name
        given = isinstance(deployment_of(spec).security.tls, GivenTls)
        name = spec.connection.certificate_name if given else None
        made["tls"] = {"ca_file": f"{TLS_DIR}/ca.crt", "server_name": name}
    return made


def _storage(spec: Spec) -> dict[str, Any] | None:
    """Where jobs find the segments, without keys."""
    store = object_store(spec)
    if deployment_of(spec).minio is None and not isinstance(spec.storage, S3Store):
        return None
    made: dict[str, Any] = {"type": "s3", "bucket": store.bucket, "prefix": store.root}
    if store.region:
        made["region"] = store.region
    if deployment_of(spec).minio is not None:
        host = f"{store.host}.{deployment_of(spec).namespace}.svc"
        made["endpoint_url"] = f"http://{host}:{store.port}"
    elif isinstance(spec.storage, S3Store) and spec.storage.endpoint_url:
        made["endpoint_url"] = spec.storage.endpoint_url
    return made


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
