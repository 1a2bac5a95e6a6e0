"""Pods are made anew when a Secret that they read gets other values: they read it at their start.

The pods carry how often that has happened, and nothing that is made of the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from kitestring.manifests.base import SECRETS_ANNOTATION


def secrets_of(template: object) -> Iterator[str]:
    """Names of the Secrets that a pod template reads, as volumes and as variables."""
    if isinstance(template, Mapping):
        if isinstance(name := template.get("secretName"), str):
            yield name
        if isinstance(key := template.get("secretKeyRef"), Mapping):
            yield str(key["name"])
        for value in template.values():
            yield from secrets_of(value)
    elif isinstance(template, list):
        for item in template:
            yield from secrets_of(item)


def with_revisions(
    body: Mapping[str, Any], revisions: Mapping[str, pulumi.Output[int | None]]
) -> dict[str, Any]:
    """A workload whose pods say which revisions of Secrets they were made with.

    Args:
        revisions: by the Secret's name; None for one that was made before they were counted and
            has not changed since: its pods are left alone.
    """
    spec, template = body["spec"], body["spec"]["template"]
    read = sorted(set(secrets_of(template)) & revisions.keys())
    if not read:
        return dict(body)
    notes = template["metadata"].get("annotations") or {}

    def noted(found: list[int | None]) -> dict[str, str]:
        known = [f"{name}={int(n)}" for name, n in zip(read, found, strict=True) if n is not None]
        return {**notes, **({SECRETS_ANNOTATION: ",".join(known)} if known else {})}

    annotations = pulumi.Output.all(*(revisions[name] for name in read)).apply(noted)
    metadata = {**template["metadata"], "annotations": annotations}
    return {**body, "spec": {**spec, "template": {**template, "metadata": metadata}}}
