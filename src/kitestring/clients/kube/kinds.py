"""Where the API keeps the kinds that Kitestring uses. Others are looked up in the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind's plural name in URLs, and whether its objects are in namespaces."""

    plural: str
    namespaced: bool = True


RESOURCES: dict[tuple[str, str], Resource] = {
    ("v1", "ConfigMap"): Resource("configmaps"),
    ("v1", "Event"): Resource("events"),
    ("v1", "Namespace"): Resource("namespaces", namespaced=False),
    ("v1", "Node"): Resource("nodes", namespaced=False),
    ("v1", "PersistentVolume"): Resource("persistentvolumes", namespaced=False),
    ("v1", "PersistentVolumeClaim"): Resource("persistentvolumeclaims"),
    ("v1", "Pod"): Resource("pods"),
    ("v1", "Secret"): Resource("secrets"),
    ("v1", "Service"): Resource("services"),
    ("v1", "ServiceAccount"): Resource("serviceaccounts"),
    ("apps/v1", "DaemonSet"): Resource("daemonsets"),
    ("apps/v1", "Deployment"): Resource("deployments"),
    ("apps/v1", "ReplicaSet"): Resource("replicasets"),
    ("apps/v1", "StatefulSet"): Resource("statefulsets"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"): Resource("horizontalpodautoscalers"),
    ("batch/v1", "CronJob"): Resource("cronjobs"),
    ("batch/v1", "Job"): Resource("jobs"),
    ("networking.k8s.io/v1", "Ingress"): Resource("ingresses"),
    ("networking.k8s.io/v1", "NetworkPolicy"): Resource("networkpolicies"),
    ("policy/v1", "PodDisruptionBudget"): Resource("poddisruptionbudgets"),
    ("rbac.authorization.k8s.io/v1", "Role"): Resource("roles"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): Resource("rolebindings"),
    ("scheduling.k8s.io/v1", "PriorityClass"): Resource("priorityclasses", namespaced=False),
    ("storage.k8s.io/v1", "StorageClass"): Resource("storageclasses", namespaced=False),
}


def group_path(api_version: str) -> str:
    """`/api/v1`, `/apis/apps/v1`."""
    return f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"


def object_path(
    api_version: str, resource: Resource, namespace: str | None = None, name: str = ""
) -> str:
    """The path of an object, or of the list of a kind (in all namespaces where none is named)."""
    path = group_path(api_version)
    if resource.namespaced and namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{resource.plural}"
    return f"{path}/{quote(name, safe='')}" if name else path
