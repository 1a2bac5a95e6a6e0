"""Rules about pods: images, resources, disruption budgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kitestring.provision.policy.resource import Resource, Unknown, selects
from kitestring.provision.policy.rule import Context, ResourceRule, StackRule
from kitestring.spec.plain import mapping, number, text

_NEEDED = (("requests", "cpu"), ("requests", "memory"), ("limits", "memory"))


def pinned_images(resource: Resource, _: Context) -> Iterator[str]:
    for container in resource.containers:
        image = container.get("image")
        if isinstance(image, Unknown):
            continue
        where = f"{resource.label}: container `{text(container.get('name'))}`"
        name, _at, digest = text(image).partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        if digest:
            continue
        if not tag:
            yield f"{where}: the image `{image}` has neither tag nor digest"
        elif tag == "latest":
            yield f"{where}: the image `{image}` is another one tomorrow; name a version or digest"


def requests_set(resource: Resource, _: Context) -> Iterator[str]:
    for container in resource.containers:
        given = container.get("resources")
        if isinstance(given, Unknown):
            continue
        missing = [
            f"{part}.{what}"
            for part, what in _NEEDED
            if mapping(mapping(given).get(part)).get(what) in (None, "")
        ]
        if missing:
            yield (
                f"{resource.label}: container `{text(container.get('name'))}` does not set "
                f"{', '.join(missing)}"
            )


def disruption_budgets(
    resources: tuple[Resource, ...], _: Context
) -> Iterator[tuple[Resource | None, str]]:
    """More than one pod: a budget. One pod: none, since it would stop every drain of a node."""
    budgets = [r for r in resources if r.kind == "PodDisruptionBudget"]
    for workload in resources:
        if workload.kind not in ("Deployment", "StatefulSet"):
            continue
        pods = _replicas(workload, resources)
        if pods is None:
            continue
        over = [
            b
            for b in budgets
            if b.namespace == workload.namespace
            and selects(b.spec.get("selector"), workload.pod_labels)
        ]
        if pods > 1 and not over:
            yield (
                workload,
                f"{workload.label} has {pods} pods and no disruption budget: a drain of nodes may "
                "take all of them at once",
            )
        for budget in over:
            if not _lets_go(budget, pods):
                yield (
                    budget,
                    f"{budget.label} lets no pod of {workload.label} go ({pods} in all): no node "
                    "that has one can be drained",
                )


def _replicas(workload: Resource, resources: tuple[Resource, ...]) -> int | None:
    """How many pods there are at least; None where that is not known yet."""
    for scaler in resources:
        target = mapping(scaler.spec.get("scaleTargetRef"))
        if (
            scaler.kind == "HorizontalPodAutoscaler"
            and scaler.namespace == workload.namespace
            and (target.get("kind"), target.get("name")) == (workload.kind, workload.name)
        ):
            return int(number(scaler.spec.get("minReplicas")) or 1)
    given: Any = workload.spec.get("replicas", 1)
    wanted = number(given)
    return None if wanted is None else int(wanted)


def _lets_go(budget: Resource, pods: int) -> bool:
    least, most = budget.spec.get("minAvailable"), budget.spec.get("maxUnavailable")
    if most is not None:
        return most not in (0, "0", "0%")
    if isinstance(least, str) and least.endswith("%"):
        return least != "100%"
    known = number(least)
    return known is None or known < pods


RULES = (
    ResourceRule(
        "pinned-images", "Every image has a tag other than `latest`, or a digest", pinned_images
    ),
    ResourceRule(
        "requests-set",
        "Every container asks for CPU and memory, and limits its memory",
        requests_set,
    ),
    StackRule(
        "disruption-budgets",
        "Workloads of more than one pod have a disruption budget that can be met",
        disruption_budgets,
    ),
)
