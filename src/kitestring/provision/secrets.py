"""A Secret whose values are made once, and adopted where the cluster has them already.

Values are made by a dynamic resource (so that they are made when the stack is applied, and never
while previewing) and stand encrypted in the state. The provider's class is imported by the process
that runs it: what is serialized into the state is its name, and nothing else.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi import dynamic

from kitestring.manifests.base import CertificatePlan, SecretPlan
from kitestring.model.codec import from_plain, to_plain
from kitestring.provision.readable import readable
from kitestring.provision.resources import KubernetesObject
from kitestring.provision.target import Target
from kitestring.spec.types import SecretRef


@dataclasses.dataclass(frozen=True, slots=True)
class _Recipe:
    """What of a plan the values depend on, as JSON carries it."""

    name: str
    namespace: str
    entries: dict[str, str]
    random: dict[str, int]
    references: tuple[str, ...]
    certificate: CertificatePlan | None
    grows: bool


def recipe_of(plan: SecretPlan) -> str:
    """A plan as text: no value in it, and the same for the same plan."""
    recipe = _Recipe(
        plan.name,
        plan.namespace,
        dict(plan.entries),
        dict(plan.random),
        tuple(sorted(plan.refs)),
        plan.certificate,
        plan.grows,
    )
    return json.dumps(to_plain(recipe), sort_keys=True)


def make_values(
    recipe: str, existing: Mapping[str, str], references: Mapping[str, str]
) -> dict[str, str]:
    """The values of a Secret, of which those that exist are kept.

    Raises:
        ProvisionError: what exists does not go with the plan.
    """
    from kitestring.provision.credentials import values

    found = from_plain(_Recipe, json.loads(recipe))
    plan = SecretPlan(
        component="",
        name=found.name,
        namespace=found.namespace,
        entries=found.entries,
        random=found.random,
        refs={name: SecretRef(env=name) for name in found.references},
        certificate=found.certificate,
        grows=found.grows,
    )
    made = values(plan, dict(existing), lambda reference: references[reference.env or ""])
    return dict(made)


class SecretValuesProvider(dynamic.ResourceProvider):
    """Makes values, or takes them over. Deleting it deletes nothing: the Secret is a resource."""

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        from kitestring.clients.kube.connect import connect

        where = props["cluster"]
        with readable():
            with connect(where.get("context"), where.get("kubeconfig")) as kube:
                existing = kube.secret(props["namespace"], props["name"]) or {}
            made = make_values(props["recipe"], existing, props["references"])
        return dynamic.CreateResult(
            f"{props['namespace']}/{props['name']}", {**props, "values": made, "revision": 1}
        )

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        replaced = [key for key in ("namespace", "name") if olds.get(key) != news.get(key)]
        changed = any(olds.get(key) != news.get(key) for key in ("recipe", "references"))
        return dynamic.DiffResult(
            changes=bool(replaced) or changed or _has_to_be_renewed(olds), replaces=replaced
        )

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        with readable():
            made = make_values(news["recipe"], olds.get("values") or {}, news["references"])
        revision = olds.get("revision")  # none where an earlier version of this program made it
        if made != olds.get("values"):
            revision = int(revision or 1) + 1
        return dynamic.UpdateResult({**news, "values": made, "revision": revision})


def _has_to_be_renewed(props: Mapping[str, Any]) -> bool:
    """Whether a certificate would be made anew from the one that is there."""
    if json.loads(props["recipe"])["certificate"] is None:
        return False
    return make_values(props["recipe"], props.get("values") or {}, {}) != props.get("values")


class SecretValues(dynamic.Resource, module="kitestring", name="SecretValues"):
    """The values of a SecretPlan; `values` is secret, `revision` counts how often they changed."""

    values: pulumi.Output[dict[str, str]]
    revision: pulumi.Output[int | None]

    def __init__(
        self,
        name: str,
        plan: SecretPlan,
        references: Mapping[str, str],
        target: Target,
        opts: pulumi.ResourceOptions,
    ) -> None:
        props = {
            "name": plan.name,
            "namespace": plan.namespace,
            "recipe": recipe_of(plan),
            "references": pulumi.Output.secret(dict(references)),
            "cluster": target.plain(),
            "values": None,  # outputs
            "revision": None,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["values", "references"])
        super().__init__(
            SecretValuesProvider(), name, props, pulumi.ResourceOptions.merge(opts, secret)
        )


class ManagedSecret(pulumi.ComponentResource):
    """A Secret of the cluster with the values of a plan. `values` is a secret output, `revision`
    is not: it says how often the values have changed."""

    values: pulumi.Output[dict[str, str]]
    revision: pulumi.Output[int | None]

    def __init__(
        self,
        name: str,
        plan: SecretPlan,
        *,
        references: Mapping[str, str],
        target: Target,
        keep: bool,
        before: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kitestring:index:ManagedSecret", name, None, opts)
        own = pulumi.ResourceOptions(parent=self, depends_on=list(before))
        made = SecretValues(f"{name}-values", plan, references, target, own)
        self.values = pulumi.Output.secret(made.values)
        self.revision = pulumi.Output.unsecret(made.revision)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": plan.name,
                "namespace": plan.namespace,
                "labels": dict(plan.labels),
            },
            "type": plan.type,
            "data": self.values.apply(encoded),
        }
        self.secret = KubernetesObject(name, body, own, keep=keep)
        self.register_outputs({})


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    """As a Secret's `data` has them."""
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
