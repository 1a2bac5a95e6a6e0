"""What stands against a deployment, found before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kitestring.clients.kube.compare import wanted_body
from kitestring.clients.kube.connect import connect_for
from kitestring.clients.kube.protocol import Kube, Object
from kitestring.errors import (
    KubernetesDenied,
    ManifestRejected,
    ProvisionRefused,
    SecretMissing,
    StoreError,
)
from kitestring.manifests.base import Bundle, Manifest
from kitestring.manifests.load import load_bundle
from kitestring.model.finding import Severity
from kitestring.model.problem import Problem
from kitestring.model.transition import transition
from kitestring.model.versions import Feature, MilvusVersion, has, since
from kitestring.provision import needs
from kitestring.provision.facts import facts_of, live_objects
from kitestring.spec.deployment import Deployment
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.stores import S3Store

OLDEST = (1, 27)  # StatefulSets' persistentVolumeClaimRetentionPolicy is on from here
_AT_ONCE = 8  # requests
_STORE_TIMEOUT = 5.0  # seconds


def preflight(loaded: LoadedSpec, kube: Kube, bundle: Bundle | None = None) -> tuple[Problem, ...]:
    """Everything that is known to stand against the deployment; nothing is changed.

    Args:
        bundle: the deployment's manifests; None to build them.

    Raises:
        SpecInvalid: no manifests come from the spec.
        KubernetesUnreachable: the API server does not answer, or went away.
        KubernetesDenied: this user may not read what a deployment consists of.
    """
    bundle = bundle or load_bundle(loaded)
    deployment = loaded.spec.deployment
    if deployment is None:  # load_bundle has refused it
        return ()
    found = [*_version(loaded, kube)]
    space, problems = _namespace(loaded, deployment, kube)
    found += problems
    live = live_objects(kube, deployment.namespace, loaded.spec.cluster.name) if space else []
    found += _transition(loaded, bundle, live)
    found += needs.storage_classes(loaded, bundle, kube, live)
    found += needs.priority_classes(loaded, bundle, kube)
    found += needs.secrets(loaded, deployment, kube, there=space)
    found += needs.nodes(loaded, bundle, kube)
    found += _bucket(loaded, deployment)
    found += _server_faults(loaded, deployment)
    found += _accepted(loaded, bundle, kube, deployment.namespace if space else "default")
    return tuple(sorted(found, key=lambda p: -p.severity.rank))


def require_preflight(
    loaded: LoadedSpec,
    context: str | None = None,
    kubeconfig: str | None = None,
    bundle: Bundle | None = None,
) -> tuple[Problem, ...]:
    """The warnings of a preflight that nothing speaks against.

    Raises:
        ProvisionRefused: something does; the message lists all of it.
        KubernetesError: the cluster can't be read.
    """
    with connect_for(loaded, context, kubeconfig) as kube:
        problems = preflight(loaded, kube, bundle)
    refuse(problems)
    return problems


def refuse(problems: Sequence[Problem]) -> None:
    """Raises where one of the problems is a failure.

    Raises:
        ProvisionRefused: the message lists all failures, each with file, line and hint.
    """
    failures = [p for p in problems if p.severity is Severity.FAIL and not p.inconclusive]
    if not failures:
        return
    if len(failures) == 1:
        (one,) = failures
        raise ProvisionRefused(one.text, hint=one.hint, subject=one.check)
    lines = [f"  {p.text}" + (f"\n    hint: {p.hint}" if p.hint else "") for p in failures]
    raise ProvisionRefused(
        f"{len(failures)} things stand against this deployment; nothing was touched\n"
        + "\n".join(lines),
        hint="`kitestring provision preflight` says it again without an engine",
        subject="preflight",
    )


def _version(loaded: LoadedSpec, kube: Kube) -> Iterator[Problem]:
    version = kube.version()
    if version < OLDEST:
        yield Problem(
            "version",
            f"the API server of {kube.target} is Kubernetes {version[0]}.{version[1]}: at least "
            f"{OLDEST[0]}.{OLDEST[1]} is needed",
            "upgrade it, or name another context",
            loaded.locate("deployment"),
        )


def _namespace(
    loaded: LoadedSpec, deployment: Deployment, kube: Kube
) -> tuple[bool, list[Problem]]:
    """Whether it is there, and what is wrong with that."""
    name = deployment.namespace
    try:
        found = kube.get("v1", "Namespace", name)
    except KubernetesDenied:
        # rights within a namespace are enough to deploy into one that is there
        return not deployment.create_namespace, []
    if found is None and not deployment.create_namespace:
        problem = Problem(
            "namespace",
            f"there is no namespace `{name}`, and `create_namespace` is false",
            f"`kubectl create namespace {name}`, or leave `create_namespace` out",
            loaded.locate("deployment", "create_namespace"),
        )
        return False, [problem]
    if found is not None and (found.get("status") or {}).get("phase") == "Terminating":
        problem = Problem(
            "namespace",
            f"the namespace `{name}` is being deleted",
            "wait until it is gone, then try again",
            loaded.locate("deployment", "namespace"),
        )
        return False, [problem]
    return found is not None, []


def _transition(
    loaded: LoadedSpec, bundle: Bundle, live: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    if not live:
        return
    name = loaded.spec.cluster.name
    wanted = facts_of([m.body for m in bundle.manifests], name)
    for refusal in transition(facts_of(live, name), wanted):
        path = tuple(refusal.field.split("."))
        below = path if path[0] == "storage" else ("deployment", *path)
        yield Problem(refusal.code, refusal.message, refusal.hint, loaded.locate(*below))


def _server_faults(loaded: LoadedSpec, deployment: Deployment) -> Iterator[Problem]:
    """What is known to be wrong with the version, and touches this deployment."""
    replicated = [c.name for c in loaded.spec.collections if c.load.replicas > 1]
    version = MilvusVersion.parse(deployment.version)
    if replicated and not has(version, Feature.REBUILT_REPLICA_WAITS):
        yield Problem(
            "server-fault",
            f"Milvus {version} may give empty answers for a moment while a replica that lost its "
            f"query node is rebuilt (milvus-io/milvus#36242); collections with replicas: "
            f"{', '.join(replicated)}",
            f"use {since(Feature.REBUILT_REPLICA_WAITS)} or later",
            loaded.locate("deployment", "version"),
            Severity.WARN,
        )


def _bucket(loaded: LoadedSpec, deployment: Deployment) -> Iterator[Problem]:
    """The bucket of an external S3 is there and lets these keys in."""
    storage = loaded.spec.storage
    if deployment.minio is not None or not isinstance(storage, S3Store):
        return
    place = loaded.locate("storage", "bucket")
    if deployment.identity is not None:
        yield Problem(
            "bucket",
            f"the bucket `{storage.bucket}` was not looked at: pods reach it as the service "
            f"account `{deployment.identity.service_account}`, which is nobody here",
            location=place,
            severity=Severity.INFO,
        )
        return
    from kitestring.clients.secrets import read_secret
    from kitestring.clients.store import s3

    try:
        store = s3.S3Store(
            storage.bucket,
            endpoint_url=storage.endpoint_url,
            region=storage.region,
            access_key=read_secret(loaded, storage.access_key),
            secret_key=read_secret(loaded, storage.secret_key),
            timeout=_STORE_TIMEOUT,
        )
        next(iter(store.list(storage.prefix)), None)
    except SecretMissing as error:
        yield Problem("bucket", error.message, error.hint, loaded.locate("storage", "access_key"))
    except StoreError as error:
        # a store inside of the cluster's network need not answer here
        away = error.message.startswith("no object store answers")
        yield Problem(
            "bucket",
            error.message,
            error.hint,
            place,
            Severity.WARN if away else Severity.FAIL,
            inconclusive=away,
        )


def _accepted(loaded: LoadedSpec, bundle: Bundle, kube: Kube, space: str) -> Iterator[Problem]:
    """The API server's own word on every object, by dry run. Where the namespace is not there
    yet, another one stands in for it."""

    def ask(manifest: Manifest) -> Problem | None:
        body: Mapping[str, Any] = manifest.body
        if manifest.namespace and manifest.namespace != space:
            body = {**body, "metadata": {**body["metadata"], "namespace": space}}
            live: Object | None = None
        else:
            live = kube.get(manifest.api_version, manifest.kind, manifest.name, manifest.namespace)
        if live is not None:
            body = wanted_body(body, live, manifest.ignore)
        try:
            kube.apply_dry_run(body)
        except ManifestRejected as error:
            place = loaded.locate(*(manifest.spec_path or ("deployment",)))
            return Problem("rejected", error.message, error.hint, place)
        return None

    # what a claim may become was asked above, and said in words that help more
    asked = [m for m in bundle.manifests if m.kind != "PersistentVolumeClaim"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers: Iterable[Problem | None] = list(pool.map(ask, asked))
    yield from (problem for problem in answers if problem is not None)
