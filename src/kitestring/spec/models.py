"""What a user wants of a cluster, as pydantic models. Paths are relative to the spec file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from kitestring.spec.access import Access
from kitestring.spec.backup import Backup
from kitestring.spec.deployment import Deployment
from kitestring.spec.stores import SegmentStore
from kitestring.spec.types import (
    CLUSTER_NAME,
    MODEL_NAME,
    MODEL_VERSION,
    URI,
    Duration,
    Model,
    Name,
    SecretRef,
    TimeOfDay,
)


def _across(message: str) -> PydanticCustomError:
    """An error about keys that do not go together; `crosscheck` finds its line in a file."""
    return PydanticCustomError("crosscheck", "{text}", {"text": message})


class Cluster(Model):
    """What the cluster is called, in findings, backups and metrics."""

    name: str = Field(pattern=CLUSTER_NAME, description="such as `prod-eu`")
    environment: Literal["dev", "test", "staging", "prod"] = Field(
        "dev", description="what the cluster is for"
    )


class Tls(Model):
    """TLS towards the server."""

    ca_file: str | None = Field(None, description="certificate authority, PEM")
    server_name: str | None = Field(
        None, description="name in the server's certificate, where it is not the URI's host"
    )


class PortForward(Model):
    """A port-forward to the proxy of `deployment`, opened for the time of a command."""

    context: str | None = Field(None, description="of the kubeconfig; omit for the current one")
    kubeconfig: str | None = Field(None, description="a file; omit for KUBECONFIG or the default")


class Connection(Model):
    """How to reach Milvus: a URI, an embedded server's directory, or a port-forward."""

    uri: str | None = Field(None, pattern=URI, description="such as http://host:19530")
    embedded: str | None = Field(
        None, description="data directory of a server that `kitestring local up` starts"
    )
    kubernetes: PortForward | None = Field(
        None, description="reach the proxy of `deployment` by a port-forward"
    )
    database: Name = Field("default", description="the database that the collections are in")
    token: SecretRef | None = Field(
        None,
        description="`user:password` or an API key; with `kubernetes`, omit for the root "
        "credential that the deployment made",
    )
    tls: Tls | None = Field(None, description="for an `https` URI with a CA of its own")
    timeout: Duration = Field(10.0, description="deadline of one request")

    @model_validator(mode="after")
    def _one(self) -> Connection:
        if sum(way is not None for way in (self.uri, self.embedded, self.kubernetes)) != 1:
            raise _across("name one of `uri`, `embedded` and `kubernetes`")
        return self


class HashingOptions(Model):
    """Parameters of scikit-learn's HashingVectorizer. Another set is another model."""

    analyzer: Literal["word", "char", "char_wb"] = Field("word", description="what is counted")
    ngram_min: int = Field(1, ge=1, le=10, description="shortest n-gram")
    ngram_max: int = Field(1, ge=1, le=10, description="longest n-gram")
    stop_words: Literal["english"] | None = Field("english", description="words passed over")

    @model_validator(mode="after")
    def _range(self) -> HashingOptions:
        if self.ngram_min > self.ngram_max:
            raise _across("`ngram_min` is greater than `ngram_max`")
        return self


class HttpOptions(Model):
    """An endpoint that speaks the OpenAI embeddings protocol."""

    model: str = Field(description="the model's name at the endpoint")
    base_url: SecretRef = Field(description="where the base URL is found")
    api_key: SecretRef | None = Field(None, description="omit where the endpoint needs none")
    batch_size: int = Field(128, ge=1, le=2048, description="texts in one request")
    requests_per_second: float = Field(10.0, gt=0, description="never more requests than these")
    timeout: Duration = Field(30.0, description="deadline of one request")


class LocalModelOptions(Model):
    """A model that sentence-transformers loads."""

    path: str = Field(description="directory or hub name of the model")
    batch_size: int = Field(64, ge=1, le=4096, description="texts embedded at once")


class _ModelBase(Model):
    name: str = Field(pattern=MODEL_NAME, description="the first half of the label")
    version: str = Field(
        pattern=MODEL_VERSION, description='the second half of the label; in quotes: `"1"`'
    )
    dimension: int = Field(ge=2, le=32768, description="numbers in a vector")
    normalize: bool = Field(True, description="scale vectors to length 1")

    @property
    def label(self) -> str:
        """What a row's `embedding_model` says: `name@version`."""
        return f"{self.name}@{self.version}"


class HashingModel(_ModelBase):
    """Deterministic and dependency-light: hashed word or character n-grams."""

    provider: Literal["hashing"]
    options: HashingOptions = Field(HashingOptions(), description="what is hashed")


class HttpModel(_ModelBase):
    """A model behind an endpoint that speaks the OpenAI embeddings protocol."""

    provider: Literal["openai"]
    options: HttpOptions = Field(description="where it is and how it is asked")


class SentenceTransformersModel(_ModelBase):
    """A model that sentence-transformers loads (the `sentence-transformers` extra)."""

    provider: Literal["sentence-transformers"]
    options: LocalModelOptions = Field(description="where it is")


EmbeddingModel = Annotated[
    HashingModel | HttpModel | SentenceTransformersModel, Field(discriminator="provider")
]

ROLES = (
    "id",
    "vector",
    "tenant_id",
    "doc_id",
    "chunk_index",
    "text",
    "content_hash",
    "embedding_model",
    "chunker",
    "last_embedded_at",
)

_VECTORS = (
    "FLOAT_VECTOR",
    "FLOAT16_VECTOR",
    "BFLOAT16_VECTOR",
    "BINARY_VECTOR",
    "SPARSE_FLOAT_VECTOR",
)
ROLE_TYPES = {
    "id": ("VARCHAR", "INT64"),
    "vector": _VECTORS,
    "tenant_id": ("VARCHAR", "INT64", "INT32", "INT16", "INT8"),
    "doc_id": ("VARCHAR", "INT64", "INT32"),
    "chunk_index": ("INT64", "INT32", "INT16", "INT8"),
    "text": ("VARCHAR",),
    "content_hash": ("VARCHAR", "INT64"),
    "embedding_model": ("VARCHAR",),
    "chunker": ("VARCHAR",),
    "last_embedded_at": ("INT64",),
}
"""The types of the fields that can play a role; the first is the row contract's own."""


class FieldMap(Model):
    """Which field of the collection plays each role of the row contract; `none` where none does."""

    id: Name = Field("id", description="the primary key")
    vector: Name = Field("embedding", description="the embedding")
    tenant_id: Name | None = Field("tenant_id", description="whose row it is")
    doc_id: Name | None = Field("doc_id", description="the document that the passage is from")
    chunk_index: Name | None = Field(
        "chunk_index", description="the passage's number in its document, from 0"
    )
    text: Name | None = Field("text", description="the passage that was embedded")
    content_hash: Name | None = Field("content_hash", description="SHA-256 of the passage, hex")
    embedding_model: Name | None = Field(
        "embedding_model", description="the model's label, `name@version`"
    )
    chunker: Name | None = Field(
        "chunker", description="the chunker's label, `strategy/size/overlap/version`"
    )
    last_embedded_at: Name | None = Field(
        "last_embedded_at", description="when it was embedded, ms since the epoch"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value == "none" else value


class Column(Model):
    """A field of the collection's schema, where it is not the row contract's."""

    name: Name = Field(description="the field's name")
    type: Literal[
        "BOOL",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FLOAT",
        "DOUBLE",
        "VARCHAR",
        "JSON",
        "ARRAY",
        "FLOAT_VECTOR",
        "BINARY_VECTOR",
        "FLOAT16_VECTOR",
        "BFLOAT16_VECTOR",
        "SPARSE_FLOAT_VECTOR",
    ]
    primary: bool = Field(False, description="the primary key")
    auto_id: bool = Field(False, description="the server makes the keys")
    partition_key: bool = Field(False, description="rows are spread over partitions by it")
    nullable: bool = Field(False, description="a row may have no value (from Milvus 2.5)")
    max_length: int | None = Field(
        None, ge=1, le=65535, description="of a VARCHAR, or of the items of an ARRAY; bytes"
    )
    dim: int | None = Field(None, ge=1, le=32768, description="of a vector")
    max_capacity: int | None = Field(None, ge=1, le=4096, description="of an ARRAY; items")
    element_type: (
        Literal["BOOL", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE", "VARCHAR"] | None
    ) = Field(None, description="of an ARRAY")


class IndexSpec(Model):
    """An index on one field. What is not named in `params` may be anything."""

    field: Name = Field(description="the field that is indexed")
    name: Name | None = Field(None, description="omit for the name of the field")
    type: Literal[
        "FLAT",
        "IVF_FLAT",
        "IVF_SQ8",
        "IVF_PQ",
        "IVF_RABITQ",
        "HNSW",
        "HNSW_SQ",
        "HNSW_PQ",
        "HNSW_PRQ",
        "SCANN",
        "DISKANN",
        "GPU_BRUTE_FORCE",
        "GPU_CAGRA",
        "GPU_IVF_FLAT",
        "GPU_IVF_PQ",
        "AUTOINDEX",
        "BIN_FLAT",
        "BIN_IVF_FLAT",
        "SPARSE_INVERTED_INDEX",
        "SPARSE_WAND",
        "INVERTED",
        "NGRAM",
        "BITMAP",
        "STL_SORT",
        "Trie",
    ]
    metric: Literal["COSINE", "L2", "IP", "HAMMING", "JACCARD", "BM25"] | None = Field(
        None, description="of an index on a vector"
    )
    params: dict[str, int | float | str | bool] = Field(
        {}, description="such as `{M: 16, efConstruction: 200}`"
    )

    @property
    def index_name(self) -> str:
        return self.name or self.field


class Search(Model):
    """How clients search: used by `kitestring search`, drills and recall checks."""

    params: dict[str, int | float | str | bool] = Field({}, description="such as ef or nprobe")
    top_k: int = Field(10, ge=1, le=16384, description="passages asked for")
    confidence: float | None = Field(
        None, description="a passage scoring below it (above it for L2) is not to be trusted"
    )


class Load(Model):
    """Whether the collection is in the query nodes' memory, and how often."""

    loaded: bool = Field(True, description="ready to be searched")
    replicas: int = Field(1, ge=1, le=64, description="copies in memory")


class Chunking(Model):
    """How documents become passages. Sizes are in characters."""

    strategy: Literal["fixed", "sentence", "markdown"] = Field(
        description="where passages may be cut"
    )
    size: int = Field(ge=32, le=32768, description="the longest passage, in characters")
    overlap: int = Field(0, ge=0, description="characters that a passage repeats of the one before")
    version: int = Field(1, ge=1, description="raise it to have everything chunked again")

    @model_validator(mode="after")
    def _smaller(self) -> Chunking:
        if self.overlap >= self.size:
            raise _across("`overlap` must be smaller than `size`")
        return self

    @property
    def label(self) -> str:
        """What a row's `chunker` says: `strategy/size/overlap/version`."""
        return f"{self.strategy}/{self.size}/{self.overlap}/{self.version}"


class CollectionSpec(Model):
    """One collection: its schema, indexes, load state, aliases, and what its rows must say."""

    name: Name = Field(description="the collection's name on the server")
    description: str = Field("", description="what it is for")
    model: str | None = Field(
        None,
        description="`name@version` of one of `models`; may be left out where `columns` give the "
        "schema and the model is not known",
    )
    chunking: Chunking | None = Field(None, description="how documents become passages")
    fields: FieldMap = Field(
        FieldMap(), description="which field plays each role of the row contract"
    )
    columns: list[Column] | None = Field(
        None, description="the whole schema; omit for that of the row contract"
    )
    dynamic: bool = Field(True, description="rows may have fields that the schema does not name")
    tenancy: Literal["none", "partition-key"] = Field(
        "none", description="`partition-key` spreads the rows over partitions by tenant"
    )
    text_max_length: int = Field(
        32768, ge=64, le=65535, description="longest passage that the text field holds; bytes"
    )
    shards: int = Field(1, ge=1, le=16, description="channels that writes are spread over")
    partitions: list[Name] = Field([], description="beside `_default`")
    properties: dict[str, str] = Field(
        {}, description='such as `{collection.ttl.seconds: "86400"}`'
    )
    indexes: list[IndexSpec] = Field([], description="at most one for each field")
    search: Search = Field(Search(), description="how clients search")
    load: Load = Field(Load(), description="whether and how often it is loaded")
    aliases: list[Name] = Field([], description="other names that lead to it")
    rows: int | None = Field(None, ge=0, description="rows to plan capacity for")
    golden: str | None = Field(None, description="file of golden queries")

    @model_validator(mode="after")
    def _known_fields(self) -> CollectionSpec:
        if self.columns is None:
            return self
        names = {c.name for c in self.columns}
        if sum(c.primary for c in self.columns) != 1:
            raise _across("`columns` needs exactly one column with `primary: true`")
        for role in ROLES:
            mapped = getattr(self.fields, role)
            if mapped is not None and mapped not in names:
                raise _across(
                    f"`fields.{role}` names `{mapped}`, which is not in `columns`; "
                    f"write `{role}: none` when no field plays that role"
                )
        for index in self.indexes:
            if index.field not in names:
                raise _across(f"an index names the field `{index.field}`, not in `columns`")
        return self


class RecallObjective(Model):
    """Recall of the index against exact search, on the golden queries."""

    k: int = Field(10, ge=1, le=1000, description="answers compared for each query")
    minimum: float = Field(0.95, gt=0, le=1, description="share of them that must be the same")


class Objectives(Model):
    """What a drill and the backup checks hold the cluster to."""

    rpo: Duration = Field(description="the newest verified backup is never older")
    rto: Duration = Field(description="a restore answers its first query within it")
    recall: RecallObjective = Field(
        RecallObjective(), description="what a restored index must answer"
    )
    drill_every: Duration = Field(604800.0, description="the newest passed drill is never older")


class CompactionPolicy(Model):
    """When a collection is compacted."""

    at: TimeOfDay = Field("02:00", description="when the schedule looks; hours and minutes")
    max_segments: int = Field(8, ge=1, description="more segments than these are compacted")
    max_deleted_ratio: float = Field(
        0.2, gt=0, lt=1, description="a larger share of deleted rows is compacted"
    )


_NIGHT = "01:30"


class BackupSchedule(Model):
    """When backups are made, and what is done after each: verified, and pruned by the retention."""

    at: TimeOfDay | None = Field(
        _NIGHT, description="once a day: hours and minutes; none where there is `every`"
    )
    every: Duration | None = Field(None, description="instead of `at`: at least this often")
    verify: Literal["list", "sample", "full"] | None = Field(
        None,
        description="each new backup is verified by this tier; omit for no more than what making "
        "it reads back",
    )

    @model_validator(mode="before")
    @classmethod
    def _one(cls, data: Any) -> Any:
        """`every` takes the place of the time of day that is the default."""
        if isinstance(data, Mapping) and data.get("every") is not None and "at" not in data:
            return {**data, "at": None}
        return data

    @property
    def start(self) -> str:
        """The time of day by which other jobs are placed, too."""
        return self.at or _NIGHT

    @property
    def gap(self) -> float:
        """Seconds between two backups."""
        return self.every or 86400.0


class DrillSchedule(Model):
    """When a restore is drilled; as often as `objectives.drill_every` asks for."""

    at: TimeOfDay | None = Field(
        None, description="hours and minutes; two hours after the time of backups by default"
    )
    weekday: (
        Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] | None
    ) = Field(None, description="once a week, on this day")


class EmbeddingSchedule(Model):
    """When the model of every row is looked at."""

    at: TimeOfDay = Field("04:30", description="hours and minutes")


class DriftSchedule(Model):
    """How often the cluster is compared with its spec."""

    every: Duration = Field(21600.0, description="at least this often")


class Day2(Model):
    """What Ansible keeps true on the host that runs the schedules, and CronJobs on Kubernetes."""

    compaction: CompactionPolicy = Field(
        CompactionPolicy(), description="when collections are compacted"
    )
    backup: BackupSchedule = Field(BackupSchedule(), description="when backups are made")
    drill: DrillSchedule = Field(DrillSchedule(), description="when a restore is drilled")
    embedding: EmbeddingSchedule = Field(
        EmbeddingSchedule(), description="when models are checked; CronJobs only"
    )
    drift: DriftSchedule = Field(
        DriftSchedule(), description="how often drift is looked for; CronJobs only"
    )


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
    access: Access | None = Field(
        None, description="users, roles and grants; omit to leave them alone"
    )
    backup: Backup | None = Field(None, description="where backups go; omit for none")
    objectives: Objectives | None = Field(
        None, description="what a drill and the backup checks hold the cluster to"
    )
    day2: Day2 = Field(Day2(), description="what the schedules do")

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
                raise _across(f"the {what} `{twice[0]}` is there more than once")
        if self.connection.kubernetes is not None and self.deployment is None:
            raise _across("`connection.kubernetes` leads to the proxy of `deployment`: name it")
        return self

    def model_named(self, label: str | None) -> EmbeddingModel | None:
        """The embedding model `name@version`, or None."""
        return next((m for m in self.models if m.label == label), None)

    def collection(self, name: str) -> CollectionSpec | None:
        """The collection of that name, or the one that has it as an alias."""
        return next((c for c in self.collections if name == c.name or name in c.aliases), None)
