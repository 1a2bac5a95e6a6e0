"""What a user wants of a cluster, as pydantic models. Paths are relative to the spec file."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

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

    name: Annotated[str, Field(pattern=CLUSTER_NAME)]
    environment: Literal["dev", "test", "staging", "prod"] = "dev"


class Tls(Model):
    """TLS towards the server."""

    ca_file: str | None = Field(None, description="certificate authority, PEM")
    server_name: str | None = None


class Connection(Model):
    """How to reach Milvus: a URI, or the data directory of an embedded server."""

    uri: str | None = Field(None, pattern=URI, description="such as http://host:19530")
    embedded: str | None = Field(
        None, description="data directory of a server that `kitestring local up` starts"
    )
    database: Name = "default"
    token: SecretRef | None = Field(None, description="`user:password` or an API key")
    tls: Tls | None = None
    timeout: Duration = Field(10.0, description="deadline of one request")

    @model_validator(mode="after")
    def _one(self) -> Connection:
        if (self.uri is None) == (self.embedded is None):
            raise _across("name either `uri` or `embedded`")
        return self


class LocalStore(Model):
    """A directory."""

    type: Literal["local"]
    path: str


class S3Store(Model):
    """A bucket on S3 or a server that speaks its protocol."""

    type: Literal["s3"]
    bucket: Annotated[str, Field(min_length=3, max_length=63)]
    prefix: str = Field("", description="key prefix, without leading or trailing slash")
    endpoint_url: str | None = Field(None, description="omit for AWS")
    region: str | None = None
    access_key: SecretRef | None = Field(None, description="omit for the default AWS chain")
    secret_key: SecretRef | None = None

    @model_validator(mode="after")
    def _both_keys(self) -> S3Store:
        if (self.access_key is None) != (self.secret_key is None):
            raise _across("`access_key` and `secret_key` go together")
        return self


class EmbeddedStorage(Model):
    """The data directory of the embedded server named in `connection`."""

    type: Literal["embedded"]


Store = Annotated[LocalStore | S3Store, Field(discriminator="type")]
SegmentStore = Annotated[LocalStore | S3Store | EmbeddedStorage, Field(discriminator="type")]


class HashingOptions(Model):
    """Parameters of scikit-learn's HashingVectorizer. Another set is another model."""

    analyzer: Literal["word", "char", "char_wb"] = "word"
    ngram_min: Annotated[int, Field(ge=1, le=10)] = 1
    ngram_max: Annotated[int, Field(ge=1, le=10)] = 1
    stop_words: Literal["english"] | None = "english"

    @model_validator(mode="after")
    def _range(self) -> HashingOptions:
        if self.ngram_min > self.ngram_max:
            raise _across("`ngram_min` is greater than `ngram_max`")
        return self


class HttpOptions(Model):
    """An endpoint that speaks the OpenAI embeddings protocol."""

    model: str = Field(description="the model's name at the endpoint")
    base_url: SecretRef = Field(description="where the base URL is found")
    api_key: SecretRef | None = None
    batch_size: Annotated[int, Field(ge=1, le=2048)] = 128
    requests_per_second: Annotated[float, Field(gt=0)] = 10.0
    timeout: Duration = 30.0


class LocalModelOptions(Model):
    """A model that sentence-transformers loads."""

    path: str = Field(description="directory or hub name of the model")
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 64


class _ModelBase(Model):
    name: Annotated[str, Field(pattern=MODEL_NAME)]
    version: Annotated[str, Field(pattern=MODEL_VERSION)]
    dimension: Annotated[int, Field(ge=2, le=32768)]
    normalize: bool = Field(True, description="scale vectors to length 1")

    @property
    def label(self) -> str:
        """What a row's `embedding_model` says: `name@version`."""
        return f"{self.name}@{self.version}"


class HashingModel(_ModelBase):
    """Deterministic and dependency-light: hashed word or character n-grams."""

    provider: Literal["hashing"]
    options: HashingOptions = HashingOptions()


class HttpModel(_ModelBase):
    provider: Literal["openai"]
    options: HttpOptions


class SentenceTransformersModel(_ModelBase):
    provider: Literal["sentence-transformers"]
    options: LocalModelOptions


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


class FieldMap(Model):
    """Which field of the collection plays each role of the row contract; `none` where none does."""

    id: Name = "id"
    vector: Name = "embedding"
    tenant_id: Name | None = "tenant_id"
    doc_id: Name | None = "doc_id"
    chunk_index: Name | None = "chunk_index"
    text: Name | None = "text"
    content_hash: Name | None = "content_hash"
    embedding_model: Name | None = "embedding_model"
    chunker: Name | None = "chunker"
    last_embedded_at: Name | None = "last_embedded_at"

    @field_validator("*", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value == "none" else value


class Column(Model):
    """A field of the collection's schema, where it is not the row contract's."""

    name: Name
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
    primary: bool = False
    auto_id: bool = False
    partition_key: bool = False
    nullable: bool = False
    max_length: Annotated[int, Field(ge=1, le=65535)] | None = None
    dim: Annotated[int, Field(ge=1, le=32768)] | None = None
    max_capacity: Annotated[int, Field(ge=1, le=4096)] | None = None
    element_type: str | None = None


class IndexSpec(Model):
    """An index on one field. What is not named in `params` may be anything."""

    field: Name
    name: Name | None = Field(None, description="omit for the name of the field")
    type: Literal[
        "FLAT",
        "IVF_FLAT",
        "IVF_SQ8",
        "IVF_PQ",
        "HNSW",
        "SCANN",
        "DISKANN",
        "AUTOINDEX",
        "BIN_FLAT",
        "BIN_IVF_FLAT",
        "SPARSE_INVERTED_INDEX",
        "SPARSE_WAND",
        "INVERTED",
        "BITMAP",
        "STL_SORT",
        "Trie",
    ]
    metric: Literal["COSINE", "L2", "IP", "HAMMING", "JACCARD", "BM25"] | None = None
    params: dict[str, int | float | str | bool] = {}

    @property
    def index_name(self) -> str:
        return self.name or self.field


class Search(Model):
    """How clients search: used by `kitestring search`, drills and recall checks."""

    params: dict[str, int | float | str | bool] = Field({}, description="such as ef or nprobe")
    top_k: Annotated[int, Field(ge=1, le=16384)] = 10
    confidence: float | None = Field(
        None, description="a passage scoring below it (above it for L2) is not to be trusted"
    )


class Load(Model):
    loaded: bool = True
    replicas: Annotated[int, Field(ge=1, le=64)] = 1


class Chunking(Model):
    """How documents become passages. Sizes are in characters."""

    strategy: Literal["fixed", "sentence", "markdown"]
    size: Annotated[int, Field(ge=32, le=32768)]
    overlap: Annotated[int, Field(ge=0)] = 0
    version: Annotated[int, Field(ge=1)] = 1

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

    name: Name
    description: str = ""
    model: str | None = Field(None, description="`name@version` of one of `models`")
    chunking: Chunking | None = None
    fields: FieldMap = FieldMap()
    columns: list[Column] | None = Field(
        None, description="the whole schema; omit for that of the row contract"
    )
    dynamic: bool = True
    tenancy: Literal["none", "partition-key"] = "none"
    text_max_length: Annotated[int, Field(ge=64, le=65535)] = 32768
    shards: Annotated[int, Field(ge=1, le=16)] = 1
    partitions: list[Name] = Field([], description="beside `_default`")
    properties: dict[str, str] = {}
    indexes: list[IndexSpec] = []
    search: Search = Search()
    load: Load = Load()
    aliases: list[Name] = []
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


class Retention(Model):
    keep_last: Annotated[int, Field(ge=1)] = 7


class Backup(Model):
    """Where backups go, and by which method they are made."""

    store: Store
    method: Literal["physical"] = "physical"
    retention: Retention = Retention()


class RecallObjective(Model):
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    minimum: Annotated[float, Field(gt=0, le=1)] = 0.95


class Objectives(Model):
    """What a drill and the backup checks hold the cluster to."""

    rpo: Duration = Field(description="the newest verified backup is never older")
    rto: Duration = Field(description="a restore answers its first query within it")
    recall: RecallObjective = RecallObjective()
    drill_every: Duration = Field(604800.0, description="the newest passed drill is never older")


class CompactionPolicy(Model):
    """When a collection is compacted."""

    at: TimeOfDay = "02:00"
    max_segments: Annotated[int, Field(ge=1)] = 8
    max_deleted_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.2


class BackupSchedule(Model):
    at: TimeOfDay = "01:30"


class Day2(Model):
    """What Ansible keeps true on the host that runs the schedules."""

    compaction: CompactionPolicy = CompactionPolicy()
    backup: BackupSchedule = BackupSchedule()


class Spec(Model):
    """One cluster."""

    version: Literal[1]
    cluster: Cluster
    connection: Connection
    state: str = Field(description="directory of ledgers, locks and the drill history")
    storage: SegmentStore | None = Field(
        None, description="where Milvus keeps its segments; omit where it can't be reached"
    )
    models: list[EmbeddingModel] = []
    collections: list[CollectionSpec] = []
    backup: Backup | None = None
    objectives: Objectives | None = None
    day2: Day2 = Day2()

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        for what, names in (
            ("model", [m.label for m in self.models]),
            ("collection", [c.name for c in self.collections]),
            ("alias", [a for c in self.collections for a in c.aliases]),
        ):
            twice = sorted(name for name, count in Counter(names).items() if count > 1)
            if twice:
                raise _across(f"the {what} `{twice[0]}` is there more than once")
        return self

    def model_named(self, label: str | None) -> EmbeddingModel | None:
        """The embedding model `name@version`, or None."""
        return next((m for m in self.models if m.label == label), None)

    def collection(self, name: str) -> CollectionSpec | None:
        """The collection of that name, or the one that has it as an alias."""
        return next((c for c in self.collections if name == c.name or name in c.aliases), None)
