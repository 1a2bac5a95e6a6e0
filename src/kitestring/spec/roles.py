"""Which field of an existing collection plays which role of the row contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kitestring.model.collection import Field, Schema
from kitestring.spec.models import ROLE_TYPES, ROLES, FieldMap

# names that people give to a field of that role, folded: lower case, letters and digits only
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "vector": ("embedding", "vector", "emb", "embeddings", "vec", "dense", "densevector",
               "vectors"),
    "tenant_id": ("tenant", "tenantid", "orgid", "org", "organizationid", "customerid", "customer",
                  "accountid", "workspaceid", "workspace", "namespace"),
    "doc_id": ("documentid", "docid", "sourceid", "source", "document", "doc", "fileid", "filename",
               "file", "filepath", "path", "url", "uri"),
    "chunk_index": ("chunkindex", "chunkidx", "chunkno", "chunknumber", "chunknum", "chunkid",
                    "chunkseq", "chunkordinal", "ordinal", "seq", "idx", "position"),
    "text": ("text", "chunk", "content", "body", "passage", "pagecontent", "chunktext",
             "rawtext", "paragraph", "sentence"),
    "content_hash": ("contenthash", "sha256", "sha", "hash", "checksum", "digest", "texthash",
                     "chunkhash", "contentsha", "md5"),
    "embedding_model": ("embeddingmodel", "modelname", "embmodel", "embedmodel", "model",
                        "embeddingmodelname", "modelid", "modelversion"),
    "chunker": ("chunker", "chunkstrategy", "chunking", "chunkingstrategy", "splitter"),
    "last_embedded_at": ("lastembeddedat", "embeddedat", "embeddedts", "embeddingtime",
                         "embeddingts", "lastembedded", "indexedat"),
}  # fmt: skip

_NOTES = {
    "content_hash": "; is it the SHA-256 of the text, in hex?",
    "embedding_model": "; does it hold `name@version`?",
    "chunker": "; does it hold `strategy/size/overlap/version`?",
    "last_embedded_at": "; is it in milliseconds since the epoch?",
    "chunk_index": "; does it count a document's passages from 0?",
}


@dataclass(frozen=True, slots=True)
class RoleMap:
    """A field (or `none`) for each role, and for each guess how it was made."""

    fields: Mapping[str, str]
    reasons: Mapping[str, str]


def map_roles(schema: Schema) -> RoleMap:
    """The roles of a schema's fields.

    The primary key is the id and the only vector the embedding; everything else goes by name, and
    only where the type fits. No field plays two roles.
    """
    fields: dict[str, str] = {"id": schema.primary.name}
    reasons: dict[str, str] = {}
    free = {f.name: f for f in schema.fields if not f.primary}
    # a field of the contract's own name is never taken by a guess for another role
    for role in ROLES[1:]:
        name = FieldMap.model_fields[role].default
        if name in free and _fits(free[name], role):
            fields[role] = free.pop(name).name
    for role in ROLES[1:]:
        if role in fields:
            continue
        found, reason = _guess(role, free)
        fields[role] = found or "none"
        if found:
            free.pop(found)
        if reason:
            reasons[role] = reason
    return RoleMap({role: fields[role] for role in ROLES}, reasons)


def _guess(role: str, free: Mapping[str, Field]) -> tuple[str, str]:
    """A field for a role and how it was found; empty texts where there is none."""
    fitting = {_folded(f.name): f.name for f in free.values() if _fits(f, role)}
    note = _NOTES.get(role, "")
    for synonym in SYNONYMS[role]:
        if synonym in fitting:
            only = role == "vector" and len(fitting) == 1
            return fitting[synonym], "" if only else f"a guess, by its name{note}"
    if role == "vector":
        first = next(iter(fitting.values()))
        return first, "" if len(fitting) == 1 else f"a guess: the first of {len(fitting)} vectors"
    if role == "tenant_id":
        key = next((f for f in free.values() if f.partition_key and _fits(f, role)), None)
        if key is not None:
            return key.name, "a guess: it is the partition key"
    return "", ""


def _fits(field: Field, role: str) -> bool:
    return field.type in ROLE_TYPES[role]


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
