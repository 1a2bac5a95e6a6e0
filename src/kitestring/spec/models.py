"""What a user wants of a cluster, as pydantic models. Paths are relative to the spec file."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import Field, model_validator

from kitestring.spec.access import Access
from kitestring.spec.backup import Backup
from kitestring.spec.collection import (
    ROLE_TYPES,
    ROLES,
    CollectionSpec,
    Column,
    FieldMap,
    IndexSpec,
    Load,
    Search,
)
from kitestring.spec.connection import Cluster, Connection, PortForward, Tls
from kitestring.spec.database import Database
from kitestring.spec.day2 import (
    BackupSchedule,
    CompactionPolicy,
    Day2,
    DriftSchedule,
    DrillSchedule,
    EmbeddingSchedule,
)
from kitestring.spec.deployment import Deployment
from kitestring.spec.embedding import (
    EmbeddingModel,
    HashingModel,
    HashingOptions,
    HttpModel,
    HttpOptions,
    LocalModelOptions,
    SentenceTransformersModel,
)
from kitestring.spec.groups import ResourceGroup
from kitestring.spec.ingest import Chunking, Ingest, IngestVerify, Metadata, RedisCache, SqliteCache
from kitestring.spec.metrics import Metrics
from kitestring.spec.objectives import Objectives, RecallObjective
from kitestring.spec.stores import SegmentStore
from kitestring.spec.suppression import Suppression
from kitestring.spec.types import Model, across

__all__ = [
    "ROLES",
    "ROLE_TYPES",
    "BackupSchedule",
    "Chunking",
    "Cluster",
    "CollectionSpec",
    "Column",
    "CompactionPolicy",
    "Connection",
    "Day2",
    "DriftSchedule",
    "DrillSchedule",
    "EmbeddingModel",
    "EmbeddingSchedule",
    "FieldMap",
    "HashingModel",
    "HashingOptions",
    "HttpModel",
    "HttpOptions",
    "IndexSpec",
    "Ingest",
    "IngestVerify",
    "Load",
    "LocalModelOptions",
    "Metadata",
    "Objectives",
    "PortForward",
    "RecallObjective",
    "RedisCache",
    "ResourceGroup",
    "Search",
    "SentenceTransformersModel",
    "Spec",
    "SqliteCache",
    "Suppression",
    "Tls",
]


class Spec(Model):
    """One cluster."""

    version: Literal[1] = Field(description="of the spec's format")
    cluster: Cluster = Field(description="what the cluster is called")
    connection: Connection = Field(description="how to reach Milvus")
    state: str = Field(description="directory of ledgers, locks and the drill history")
    storage: SegmentStore | None = Field(
        None, description="where Milvus keeps its segments; omit where it can't be reached"
    )
    deployment: Deployment | None = Field(
        None, description="Milvus on Kubernetes, as `pulumi up` provisions it"
    )
    models: list[EmbeddingModel] = Field([], description="embedding models")
    collections: list[CollectionSpec] = Field([], description="what the server must hold")
    resource_groups: list[ResourceGroup] = Field(
        [], description="query nodes set apart for some collections"
    )
    access: Access | None = Field(
        None, description="users, roles and grants; omit to leave them alone"
    )
    backup: Backup | None = Field(None, description="where backups go; omit for none")
    objectives: Objectives | None = Field(
        None, description="what a drill and the backup checks hold the cluster to"
    )
    ingest: Ingest = Field(Ingest(), description="how documents are written")
    database: Database | None = Field(
        None, description="settings of the connection's database; omit to leave them alone"
    )
    metrics: Metrics | None = Field(
        None, description="the query nodes' metrics; omit to have drift runs leave them alone"
    )
    day2: Day2 = Field(Day2(), description="what the schedules do")
    suppressions: list[Suppression] = Field(
        [], description="findings of drift detection that are known and accepted for a while"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        for what, names in (
            ("model", [m.label for m in self.models]),
            ("collection", [c.name for c in self.collections]),
            ("alias", [a for c in self.collections for a in c.aliases]),
            ("role", [r.name for r in self.access.roles] if self.access else []),
            ("user", [u.name for u in self.access.users] if self.access else []),
        ):
            twice = sorted(name for name, count in Counter(names).items() if count > 1)
            if twice:
                raise across(f"the {what} `{twice[0]}` is there more than once")
        if self.connection.kubernetes is not None and self.deployment is None:
            raise across("`connection.kubernetes` leads to the proxy of `deployment`: name it")
        return self

    def model_named(self, label: str | None) -> EmbeddingModel | None:
        """The embedding model `name@version`, or None."""
        return next((m for m in self.models if m.label == label), None)

    def collection(self, name: str) -> CollectionSpec | None:
        """The collection of that name, or the one that has it as an alias."""
        return next((c for c in self.collections if name == c.name or name in c.aliases), None)
