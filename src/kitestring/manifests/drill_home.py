"""A namespace that is kept for the scheduled drills, and the rights that their pods have in it.

Made where the spec says `deployment.jobs.drill_target: kubernetes`. A Role is enough: a drill there
makes and removes objects, and never the namespace. It holds copies of all rows while a drill runs.
"""

from __future__ import annotations

from typing import Any

from kitestring.manifests.base import MANAGED_BY, Manifest
from kitestring.manifests.labels import MANAGED_BY_LABEL, deployment_of, labels, object_name
from kitestring.spec.models import Spec

HOME = "kitestring/drills"
"""Label of such a namespace: the cluster whose drills may take it."""
COMPONENT = "drills"
SPEC_FILE_NAME = "drill.yaml"  # beside spec.yaml: a drill needs to know the deployment
API_PORTS = (443, 6443)  # of API servers, before and after a Service's address is replaced
_OWN = ["get", "list", "create", "patch", "delete"]
_PATH = ("deployment", "jobs", "drill_target")


def wanted(spec: Spec) -> bool:
    """Whether scheduled drills go to Kubernetes."""
    return deployment_of(spec).jobs.drill_target == "kubernetes"


def home(spec: Spec) -> str:
    """Name of the namespace."""
    return object_name(spec, "drills")


def arguments(spec: Spec) -> tuple[str, ...]:
    """What a scheduled drill is told beside its usual arguments."""
    return ("--target", "kubernetes", "--namespace", home(spec)) if wanted(spec) else ()


def rules(namespace: str) -> list[dict[str, Any]]:
    """What a drill does in its namespace (`drill.space.Kept`, `drill.deployed`)."""
    core = ["configmaps", "secrets", "services", "persistentvolumeclaims"]
    return [
        {
            "apiGroups": [""],
            "resources": ["namespaces"],
            "resourceNames": [namespace],
            "verbs": ["get", "patch"],
        },
        {"apiGroups": [""], "resources": core, "verbs": _OWN},
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": _OWN},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _OWN},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]


def manifests(spec: Spec, account: str) -> tuple[Manifest, ...]:
    """The namespace, a Role in it, and its binding; nothing where drills stay in their pods.

    Args:
        account: the jobs' service account, in the namespace of the deployment.
    """
    if not wanted(spec):
        return ()
    name = home(spec)
    own = labels(spec, "kitestring", COMPONENT)
    space = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {
                MANAGED_BY_LABEL: MANAGED_BY,
                HOME: spec.cluster.name,
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }
    meta = {"name": name, "namespace": name, "labels": own}
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": rules(name)}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
        "subjects": [
            {
                "kind": "ServiceAccount",
                "name": account,
                "namespace": deployment_of(spec).namespace,
            }
        ],
    }
    return (
        Manifest(
            COMPONENT,
            space,
            after=("namespace",),
            ignore=("metadata.annotations",),  # a drill at work says so there
            spec_path=_PATH,
        ),
        *(
            Manifest("jobs", body, after=("namespace", COMPONENT), spec_path=_PATH)
            for body in (role, binding)
        ),
    )
