"""Milvus on Kubernetes as one Pulumi component: the pure manifests, wrapped and put in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pulumi

from kitestring.manifests.base import Bundle, Manifest, SecretPlan
from kitestring.manifests.build import build
from kitestring.manifests.incluster import MILVUS_PORT, service_host, tls_secret
from kitestring.manifests.labels import deployment_of
from kitestring.provision.resources import declare
from kitestring.provision.restarts import with_revisions
from kitestring.provision.secrets import ManagedSecret
from kitestring.provision.target import Target
from kitestring.spec.models import Spec

CREDENTIALS = "secrets"
# manifests of a component -> the child that holds them; others are named after their component
CHILDREN: Mapping[str, str] = {
    "namespace": "Foundation",
    "config": "Configuration",
    "network": "Network",
    CREDENTIALS: "Credentials",
    "etcd": "MetadataStore",
    "minio": "ObjectStorage",
    "storage": "ObjectStorage",
    "kafka": "MessageLog",
    "coordinator": "Coordinators",
    "proxy": "Proxy",
    "query_node": "QueryNodes",
    "data_node": "DataNodes",
    "index_node": "IndexNodes",
    "streaming_node": "StreamingNodes",
    "standalone": "Standalone",
    "jobs": "Jobs",
}
_WORKLOADS = ("Deployment", "StatefulSet")  # their pods stay; those of jobs read what is there
_WITH_PODS = frozenset({*_WORKLOADS, "Job", "CronJob"})


@dataclass(frozen=True)
class MilvusClusterArgs:
    """What a cluster is made of.

    `references` are the values of the secrets that the spec names, by Secret and placeholder;
    `keep_volumes` protects what holds data, and leaves it in the cluster on `pulumi destroy`.
    """

    cluster: str
    namespace: str
    version: str
    endpoint: str  # inside of the cluster
    bundle: Bundle
    target: Target = field(default_factory=Target)
    references: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    keep_volumes: bool = True
    tls_secret: str | None = None

    @classmethod
    def from_spec(
        cls,
        spec: Spec,
        *,
        target: Target | None = None,
        references: Mapping[str, Mapping[str, str]] | None = None,
        bundle: Bundle | None = None,
    ) -> MilvusClusterArgs:
        """The arguments of the spec's deployment.

        Args:
            bundle: its manifests, where they are built already.

        Raises:
            SpecInvalid: there is no deployment, or it asks for what can't be.
        """
        deployment, tls = deployment_of(spec), tls_secret(spec)
        return cls(
            cluster=spec.cluster.name,
            namespace=deployment.namespace,
            version=deployment.version,
            endpoint=f"{'https' if tls else 'http'}://{service_host(spec)}:{MILVUS_PORT}",
            bundle=bundle or build(spec),
            target=target or Target(),
            references=references or {},
            keep_volumes=deployment.keep_volumes,
            tls_secret=tls,
        )

    @property
    def root_secret(self) -> str:
        """Name of the Secret with `username`, `password` and `token` of root."""
        return f"{self.cluster}-root"


class Part(pulumi.ComponentResource):
    """One part of a cluster, such as its query nodes: the resources of some components."""

    def __init__(self, token: str, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(f"kitestring:index:{token}", name, None, opts)
        self.members: list[pulumi.Resource] = []


class MilvusCluster(pulumi.ComponentResource):
    """A Milvus cluster. Its resources are made in the order that the manifests ask for.

    Outputs: `endpoint` (inside of the cluster), `namespace`, `root_secret` and `tls_secret`
    (names of Secrets; the latter is empty without TLS).
    """

    def __init__(
        self,
        name: str,
        args: MilvusClusterArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("kitestring:index:MilvusCluster", name, None, opts)
        self._name, self._args = name, args
        self._parts: dict[str, Part] = {}
        self._made: dict[str, list[pulumi.Resource]] = {}  # component -> its resources
        self._claims: dict[str, list[pulumi.Resource]] = {}  # component -> its volume claims
        self._workloads: dict[str, pulumi.Resource] = {}  # component -> what has its pods
        self.secrets: dict[str, ManagedSecret] = {}

        bundle = args.bundle
        foundation = [m for m in bundle.manifests if m.component == "namespace"]
        for manifest in foundation:
            self._declare(manifest)
        for plan in bundle.secrets:
            self._secret(plan)
        for manifest in in_order([m for m in bundle.manifests if m.component != "namespace"]):
            self._declare(manifest)
        for part in self._parts.values():
            part.register_outputs({})

        self.endpoint = pulumi.Output.from_input(args.endpoint)
        self.namespace = pulumi.Output.from_input(args.namespace)
        self.root_secret = pulumi.Output.from_input(args.root_secret)
        self.tls_secret = pulumi.Output.from_input(args.tls_secret or "")
        self.register_outputs(
            {
                "endpoint": self.endpoint,
                "namespace": self.namespace,
                "root_secret": self.root_secret,
                "tls_secret": self.tls_secret,
            }
        )

    def members(self, *components: str) -> list[pulumi.Resource]:
        """The resources of some components, to be depended on."""
        return [r for component in components for r in self._made.get(component, ())]

    @property
    def serving(self) -> list[pulumi.Resource]:
        """What has to be ready before a client is answered."""
        return self.members("standalone", "proxy")

    @property
    def server(self) -> pulumi.Resource:
        """The workload that answers clients: where it goes, what is inside of it is gone too."""
        return self._workloads.get("proxy") or self._workloads["standalone"]

    def _part(self, component: str) -> Part:
        token = CHILDREN.get(component) or component.title().replace("_", "")
        if token not in self._parts:
            name = f"{self._name}-{component.replace('_', '-')}"
            self._parts[token] = Part(token, name, pulumi.ResourceOptions(parent=self))
        return self._parts[token]

    def _resource_name(self, name: str) -> str:
        return f"{self._name}-{name.removeprefix(self._args.cluster + '-')}"

    def _declare(self, manifest: Manifest) -> None:
        part = self._part(manifest.component)
        if manifest.kind in _WORKLOADS:
            revisions = {name: secret.revision for name, secret in self.secrets.items()}
            manifest = replace(manifest, body=with_revisions(manifest.body, revisions))
        made = declare(
            self._resource_name(manifest.name),
            manifest,
            pulumi.ResourceOptions(parent=part, depends_on=self._before(manifest)),
            keep=manifest.keep and self._args.keep_volumes,
        )
        part.members.append(made)
        self._made.setdefault(manifest.component, []).append(made)
        if manifest.kind == "PersistentVolumeClaim":
            self._claims.setdefault(manifest.component, []).append(made)
        if manifest.kind in _WORKLOADS:
            self._workloads[manifest.component] = made

    def _before(self, manifest: Manifest) -> list[pulumi.Resource]:
        before = self.members(*manifest.after)
        if manifest.component != "namespace":
            before = [*self.members("namespace"), *before]
        if manifest.kind in _WITH_PODS:
            claims = self._claims.get(manifest.component, ())
            before = [*before, *self.members(CREDENTIALS, "config"), *claims]
        return list(dict.fromkeys(before))

    def _secret(self, plan: SecretPlan) -> None:
        part = self._part(CREDENTIALS)
        made = ManagedSecret(
            self._resource_name(plan.name),
            plan,
            references=self._args.references.get(plan.name, {}),
            target=self._args.target,
            keep=plan.keep and self._args.keep_volumes,
            before=self.members("namespace"),
            opts=pulumi.ResourceOptions(parent=part),
        )
        self.secrets[plan.name] = made
        part.members.append(made)
        self._made.setdefault(CREDENTIALS, []).append(made)


def in_order(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The manifests so that each comes after the components that it waits for.

    Raises:
        ValueError: components wait for each other.
    """
    left, done = list(manifests), list[Manifest]()
    while left:
        waiting = {m.component for m in left}
        ready = [m for m in left if not (set(m.after) - {m.component}) & waiting]
        # claims before the pods that mount them
        ready.sort(key=lambda m: m.kind in _WITH_PODS)
        if not ready:
            raise ValueError(f"components wait for each other: {sorted(waiting)}")
        done += ready
        left = [m for m in left if m not in ready]
    return done
