"""What `pulumi up` provisions on Kubernetes, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kitestring.spec.types import (
    DNS_LABEL,
    IMAGE,
    MILVUS_VERSION,
    REGISTRY,
    SECRET_NAME,
    Duration,
    Model,
    Quantity,
    across,
)

RoleName = Literal[
    "standalone",
    "proxy",
    "coordinator",
    "query_node",
    "data_node",
    "index_node",
    "streaming_node",
]


class Resources(Model):
    """What a pod asks for. Memory is asked for and limited alike: a limit above is not kept."""

    cpu: Quantity = Field(description="asked for, such as `500m` or `2`")
    memory: Quantity = Field(description="asked for and the limit, such as `8Gi`")
    cpu_limit: Quantity | None = Field(None, description="omit for none: throttling costs latency")
    ephemeral: Quantity | None = Field(None, description="ephemeral storage asked for and limited")


class Volume(Model):
    """A volume claim of each pod."""

    size: Quantity = Field(description="such as `50Gi`; can be raised later, never lowered")
    storage_class: Annotated[str, Field(pattern=SECRET_NAME)] | None = Field(
        None, description="omit for the cluster's default class"
    )


class Placement(Model):
    """Where pods may run."""

    node_selector: dict[str, str] = Field({}, description="labels that a node must have")
    tolerations: list[dict[str, str | int]] = Field([], description="as Kubernetes writes them")
    priority_class: str | None = Field(None, description="priority class of the pods")
    spread: Literal["required", "preferred", "none"] = Field(
        "preferred", description="pods of a role on different nodes and zones"
    )


class Autoscale(Model):
    """A HorizontalPodAutoscaler; Pulumi then leaves the number of replicas alone."""

    minimum: int = Field(ge=1, le=64, description="never fewer pods")
    maximum: int = Field(ge=1, le=64, description="never more pods")
    cpu_percent: int | None = Field(None, ge=1, le=100, description="of the CPU asked for")
    memory_percent: int | None = Field(None, ge=1, le=100, description="of the memory asked for")

    @model_validator(mode="after")
    def _range(self) -> Autoscale:
        if self.minimum > self.maximum:
            raise across("`minimum` is greater than `maximum`")
        if self.cpu_percent is None and self.memory_percent is None:
            raise across("name `cpu_percent` or `memory_percent`: there is nothing to scale by")
        return self


class RoleSpec(Model):
    """Pods of one role."""

    replicas: int | None = Field(
        None, ge=1, le=64, description="how many pods; omit where `autoscale` says"
    )
    resources: Resources | None = Field(
        None, description="omit for the capacity plan's (query nodes, standalone) or the minimum"
    )
    autoscale: Autoscale | None = Field(None, description="proxies and query nodes only")
    placement: Placement | None = Field(None, description="omit for that of the deployment")
    termination_grace: Duration | None = Field(
        None, description="what a pod may take to drain; query nodes: 30m where it is not said"
    )
    disk: Volume | None = Field(
        None, description="a disk of the pod's own: DISKANN and mmap on query nodes"
    )

    @model_validator(mode="after")
    def _one_count(self) -> RoleSpec:
        if self.replicas is not None and self.autoscale is not None:
            raise across("`replicas` and `autoscale` say both how many pods there are; name one")
        return self


class Roles(Model):
    """The pods of Milvus by role. Which roles there are depends on the version and the mode."""

    standalone: RoleSpec | None = Field(None, description="mode standalone: the whole server")
    proxy: RoleSpec | None = Field(None, description="answers clients")
    coordinator: RoleSpec | None = Field(None, description="the coordinators, in one pod")
    query_node: RoleSpec | None = Field(None, description="holds collections in memory")
    data_node: RoleSpec | None = Field(None, description="writes segments; from 2.6 builds indexes")
    index_node: RoleSpec | None = Field(None, description="builds indexes; up to 2.5")
    streaming_node: RoleSpec | None = Field(None, description="holds the log; from 2.6")


class Etcd(Model):
    """The metadata store: provisioned, or somebody else's."""

    endpoints: list[str] = Field([], description="host:port of an etcd that is there; omit to make")
    replicas: Literal[1, 3, 5] = Field(3, description="members")
    resources: Resources | None = Field(None, description="of each member")
    volume: Volume | None = Field(None, description="of each member; omit for 10Gi")
    root_path: Annotated[str, Field(pattern=DNS_LABEL)] | None = Field(
        None, description="prefix of every key; omit for the cluster's name"
    )

    @model_validator(mode="after")
    def _one(self) -> Etcd:
        if self.endpoints and (self.volume or self.resources):
            raise across("`endpoints` names an etcd that is there: it has no `volume` to make")
        return self


class Minio(Model):
    """MinIO for the segments, provisioned beside Milvus. Omit for the S3 named in `storage`."""

    replicas: int = Field(1, ge=1, le=16, description="1, or 4 and more for erasure coding")
    resources: Resources | None = Field(None, description="of each pod")
    volume: Volume | None = Field(None, description="of each pod; omit for 100Gi")

    @model_validator(mode="after")
    def _count(self) -> Minio:
        if self.replicas in (2, 3):
            raise across("`replicas` of MinIO is 1, or 4 and more for erasure coding")
        return self


class WorkloadIdentity(Model):
    """Milvus reaches its bucket as a service account, without keys."""

    service_account: Annotated[str, Field(pattern=DNS_LABEL)] = Field(
        description="name of the service account that Milvus runs as"
    )
    annotations: dict[str, str] = Field(
        {}, description="such as `{eks.amazonaws.com/role-arn: …}`; the account is made with them"
    )
    provider: Literal["aws", "gcp", "azure"] = Field("aws", description="whose storage it is")


class Kafka(Model):
    """Kafka: provisioned (KRaft mode), or somebody else's."""

    type: Literal["kafka"]
    brokers: list[str] = Field([], description="host:port of a Kafka that is there; omit to make")
    replicas: Literal[1, 3, 5] = Field(3, description="brokers")
    resources: Resources | None = Field(None, description="of each broker")
    volume: Volume | None = Field(None, description="of each broker; omit for 50Gi")
    secret: Annotated[str, Field(pattern=SECRET_NAME)] | None = Field(
        None, description="Secret with `username` and `password` of an external Kafka (SASL)"
    )


class Pulsar(Model):
    """A Pulsar that is there."""

    type: Literal["pulsar"]
    address: str = Field(min_length=1, description="host of the broker or proxy")
    port: int = Field(6650, ge=1, le=65535, description="its port")
    secret: Annotated[str, Field(pattern=SECRET_NAME)] | None = Field(
        None, description="Secret with `authParams`"
    )


class Rocksmq(Model):
    """The log inside a standalone server, on its volume; in 2.6 where it was there before."""

    type: Literal["rocksmq"]
    volume: Volume | None = Field(None, description="omit for 50Gi")


class Woodpecker(Model):
    """The log on object storage; from 2.6."""

    type: Literal["woodpecker"]


MessageLog = Annotated[Kafka | Pulsar | Rocksmq | Woodpecker, Field(discriminator="type")]


class Images(Model):
    """Where images come from. A digest (`…@sha256:…`) is taken as it stands."""

    registry: Annotated[str, Field(pattern=REGISTRY)] | None = Field(
        None, description="replaces the registry of every image: for clusters without internet"
    )
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        "IfNotPresent", description="when a node asks the registry"
    )
    pull_secrets: list[Annotated[str, Field(pattern=SECRET_NAME)]] = Field(
        [], description="Secrets with the registry's credentials"
    )
    milvus: Annotated[str, Field(pattern=IMAGE)] | None = Field(
        None, description="omit for the official image of `version`"
    )
    etcd: Annotated[str, Field(pattern=IMAGE)] | None = Field(None, description="omit: tested one")
    minio: Annotated[str, Field(pattern=IMAGE)] | None = Field(None, description="omit: tested one")
    kafka: Annotated[str, Field(pattern=IMAGE)] | None = Field(None, description="omit: tested one")
    kitestring: Annotated[str, Field(pattern=IMAGE)] | None = Field(
        None, description="image of the day-2 jobs; no jobs are made where it is not named"
    )


class GeneratedTls(Model):
    """A certificate authority and a server certificate that Kitestring makes."""

    type: Literal["generated"]
    hosts: list[str] = Field([], description="names beside those of the Service")


class GivenTls(Model):
    """A certificate that is there, as a Secret of type kubernetes.io/tls (with `ca.crt`)."""

    type: Literal["secret"]
    secret: Annotated[str, Field(pattern=SECRET_NAME)] = Field(description="the Secret's name")


DeploymentTls = Annotated[GeneratedTls | GivenTls, Field(discriminator="type")]


class Security(Model):
    """Who may reach Milvus, and how. Authentication is always on."""

    tls: DeploymentTls | None = Field(None, description="TLS of the proxy; omit for none")
    network_policy: bool = Field(True, description="deny every edge that the roles do not need")
    client_namespaces: list[Annotated[str, Field(pattern=DNS_LABEL)]] = Field(
        [], description="namespaces whose pods may reach the proxy, beside the deployment's own"
    )
    client_cidrs: list[str] = Field([], description="addresses that may reach the proxy")
    metrics_namespaces: list[Annotated[str, Field(pattern=DNS_LABEL)]] = Field(
        [], description="namespaces whose pods may scrape metrics, such as that of Prometheus"
    )


class Service(Model):
    """How clients reach the proxy."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field(
        "ClusterIP", description="of the Service of the proxy"
    )
    annotations: dict[str, str] = Field({}, description="such as those of an internal balancer")


class CapacityLimits(Model):
    """What the capacity plan keeps free."""

    growth: float = Field(0.5, ge=0, le=100, description="rows to come, as a share of those named")
    headroom: float = Field(
        0.25, ge=0, lt=1, description="share of a query node's memory that stays free"
    )
    node_memory: Quantity | None = Field(
        None, description="memory that one Kubernetes node can give to a pod"
    )


JobName = Literal["backup", "compaction", "embedding", "drift", "drill"]


class Jobs(Model):
    """The day-2 jobs, as CronJobs beside Milvus; made where `images.kitestring` is named."""

    volume: Volume | None = Field(
        None, description="state, and backups where `backup.store` is local; omit for 20Gi"
    )
    resources: Resources | None = Field(
        None, description="of every job but the drill; omit for 250m and 1Gi"
    )
    drill_resources: Resources | None = Field(
        None, description="of the drill, whose pod may hold a server; omit for 1 and 4Gi"
    )
    scratch: Quantity = Field("20Gi", description="disk for the copy that a drill restores")
    drill_target: Literal["embedded", "kubernetes"] = Field(
        "embedded",
        description="where scheduled drills restore: a server in the job's pod, or one made from "
        "this deployment in a namespace that is kept for drills",
    )
    suspend: list[JobName] = Field([], description="jobs whose schedule is held")
    egress_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [443], description="TCP ports outside that jobs may reach: stores, embedding endpoints"
    )


class Deployment(Model):
    """Milvus on Kubernetes, as `pulumi up` provisions it."""

    version: Annotated[str, Field(pattern=MILVUS_VERSION)] = Field(
        description="of Milvus, such as `2.5.16`"
    )
    mode: Literal["standalone", "cluster"] = Field(description="one server, or pods by role")
    namespace: Annotated[str, Field(pattern=DNS_LABEL)] = Field(
        "milvus", description="the namespace, which is made"
    )
    create_namespace: bool = Field(True, description="`false` where the namespace is there")
    roles: Roles = Field(Roles(), description="pods by role")
    etcd: Etcd = Field(Etcd(), description="the metadata store")
    minio: Minio | None = Field(None, description="omit for the S3 named in `storage`")
    identity: WorkloadIdentity | None = Field(
        None, description="instead of keys, for the S3 named in `storage`"
    )
    message_log: MessageLog | None = Field(
        None, description="omit for the version's own; can't be changed later"
    )
    images: Images = Field(Images(), description="where images come from")
    placement: Placement = Field(Placement(), description="where pods may run")
    storage_class: Annotated[str, Field(pattern=SECRET_NAME)] | None = Field(
        None, description="of every volume that names none"
    )
    keep_volumes: bool = Field(
        True, description="volume claims outlive `pulumi destroy`, and the stack protects them"
    )
    security: Security = Field(Security(), description="who may reach it")
    service: Service = Field(Service(), description="how clients reach it")
    capacity: CapacityLimits = Field(CapacityLimits(), description="what the plan keeps free")
    jobs: Jobs = Field(Jobs(), description="the day-2 jobs")
    config: dict[str, str | int | float | bool] = Field(
        {}, description="more settings of milvus.yaml, dotted: `{dataCoord.segment.maxSize: 512}`"
    )

    def role(self, name: RoleName) -> RoleSpec:
        """What is said about a role; nothing where it is not named."""
        return getattr(self.roles, name) or RoleSpec()

    def replicas(self, name: RoleName) -> int:
        """The fewest pods of a role: its `replicas`, the autoscaler's `minimum`, or 1."""
        role = self.role(name)
        return role.autoscale.minimum if role.autoscale else role.replicas or 1
