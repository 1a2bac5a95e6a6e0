"""Disruption budgets and autoscalers."""

from __future__ import annotations

from typing import Any

from kitestring.manifests.labels import deployment_of, metadata, object_name, selector
from kitestring.model.versions import Role
from kitestring.spec.models import Spec


def disruption_budget(spec: Spec, role: Role) -> dict[str, Any]:
    """At most one pod of a role is evicted at a time; one that never got ready may always be."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(spec, "milvus", role, version=deployment_of(spec).version),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(spec, "milvus", role)},
        },
    }


def autoscaler(spec: Spec, role: Role) -> dict[str, Any]:
    """Scales a role by load. Query nodes leave one at a time: each has to drain first.

    Raises:
        ValueError: the spec has no `autoscale` for the role; callers ask before.
    """
    wanted = deployment_of(spec).role(role).autoscale
    if wanted is None:
        raise ValueError(f"`{role}` is not scaled by load")
    by_name = {"cpu": wanted.cpu_percent, "memory": wanted.memory_percent}
    down = {"proxy": (300, 60)}.get(role, (900, 600))  # seconds: stay calm for, one pod each
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(spec, "milvus", role, version=deployment_of(spec).version),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": object_name(spec, role),
            },
            "minReplicas": wanted.minimum,
            "maxReplicas": wanted.maximum,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": name,
                        "target": {"type": "Utilization", "averageUtilization": percent},
                    },
                }
                for name, percent in by_name.items()
                if percent is not None
            ],
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": down[0],
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": down[1]}],
                }
            },
        },
    }
