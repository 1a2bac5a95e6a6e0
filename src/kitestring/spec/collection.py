"""A collection: its schema, indexes, load state, aliases, and what its rows must say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from kitestring.spec.canary import Canary
from kitestring.spec.corpus import Corpus
from kitestring.spec.groups import GroupName
from kitestring.spec.ingest import Chunking, Metadata
from kitestring.spec.proofs import IsolationProof, RecallProof, RetrievalProof
from kitestring.spec.reembed import Reembed
from kitestring.spec.types import Model, Name, across

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
    resource_groups: list[GroupName] = Field(
        [],
        description="of `resource_groups`: one for all replicas, or one for each; omit for the "
        "server's default group",
    )


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
    metadata: Metadata | None = Field(None, description="what rows say beside the row contract")
    fields: FieldMap = Field(
        FieldMap(), description="which field plays each role of the row contract"
    )
    columns: list[Column] | None = Field(
        None, description="the whole schema; omit for that of the row contract"
    )
    dynamic: bool = Field(True, description="rows may have fields that the schema does not name")
    tenancy: Literal["none", "field", "partition-key", "partition", "collection", "database"] = (
        Field(
            "none",
            description="what keeps tenants apart: a filter on the tenant's field, the same with "
            "the rows spread by it, a partition called like the tenant, or a collection or "
            "database of its own",
        )
    )
    text_max_length: int = Field(
        32768, ge=64, le=65535, description="longest passage that the text field holds; bytes"
    )
    shards: int = Field(1, ge=1, le=16, description="channels that writes are spread over")
    partitions: list[Name] = Field([], description="beside `_default`")
    properties: dict[str, str] = Field(
        {}, description='such as `{collection.ttl.seconds: "86400"}`'
    )
    consistency: Literal["Strong", "Session", "Bounded", "Eventually"] | None = Field(
        None,
        description="of a search that does not name one; omit for Bounded, and to leave a "
        "collection alone that has another: it can't be changed later",
    )
    indexes: list[IndexSpec] = Field([], description="at most one for each field")
    search: Search = Field(Search(), description="how clients search")
    load: Load = Field(Load(), description="whether and how often it is loaded")
    aliases: list[Name] = Field([], description="other names that lead to it")
    rows: int | None = Field(None, ge=0, le=10**15, description="rows to plan capacity for")
    golden: str | None = Field(None, description="file of golden queries")
    corpus: Corpus | None = Field(
        None, description="have drift runs look for documents to ingest; omit for not"
    )
    recall: RecallProof | None = Field(
        None, description="have drift runs measure recall; omit for not"
    )
    retrieval: RetrievalProof | None = Field(
        None, description="have drift runs ask the golden queries; omit for not"
    )
    isolation: IsolationProof | None = Field(
        None, description="have drift runs ask as each tenant for the others' rows; omit for not"
    )
    reembed: Reembed = Field(
        Reembed(), description="what a change of the embedding model is held to"
    )
    canary: Canary | None = Field(
        None, description="`{}` has the vectors checked against the model; omit for labels only"
    )

    @model_validator(mode="after")
    def _known_fields(self) -> CollectionSpec:
        if self.columns is None:
            return self
        names = {c.name for c in self.columns}
        if sum(c.primary for c in self.columns) != 1:
            raise across("`columns` needs exactly one column with `primary: true`")
        for role in ROLES:
            mapped = getattr(self.fields, role)
            if mapped is not None and mapped not in names:
                raise across(
                    f"`fields.{role}` names `{mapped}`, which is not in `columns`; "
                    f"write `{role}: none` when no field plays that role"
                )
        for index in self.indexes:
            if index.field not in names:
                raise across(f"an index names the field `{index.field}`, not in `columns`")
        return self
