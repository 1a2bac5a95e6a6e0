"""The namespace, and the service account of a workload identity."""

from __future__ import annotations

from kitestring.manifests.base import MANAGED_BY, Manifest
from kitestring.manifests.labels import MANAGED_BY_LABEL, deployment_of, metadata
from kitestring.spec.models import Spec


def manifests(spec: Spec) -> tuple[Manifest, ...]:
    """The namespace, where the spec has it made, and the service account, where it names one."""
    deployment = deployment_of(spec)
    made: list[Manifest] = []
    if deployment.create_namespace:
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": deployment.namespace,
                "labels": {
                    MANAGED_BY_LABEL: MANAGED_BY,
                    # the API server then turns away pods that ask for more rights than ours
                    "pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/warn": "restricted",
                },
            },
        }
        made.append(
            Manifest(
                "namespace",
                body,
                keep=deployment.keep_volumes,
                spec_path=("deployment", "namespace"),
            )
        )
    if deployment.identity is not None:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(
                spec,
                "milvus",
                "config",
                name=deployment.identity.service_account,
                version=deployment.version,
                annotations=deployment.identity.annotations,
            ),
            "automountServiceAccountToken": False,
        }
        made.append(
            Manifest("config", account, after=("namespace",), spec_path=("deployment", "identity"))
        )
    return tuple(made)
