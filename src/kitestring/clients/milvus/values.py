"""What pymilvus answers with, as values of the model; and fields as pymilvus takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymilvus import DataType

from kitestring.model.collection import Field, Index, IndexState, Schema, params_as_text

_INDEX_KEYS = {
    "index_type",
    "metric_type",
    "field_name",
    "index_name",
    "total_rows",
    "indexed_rows",
    "pending_index_rows",
    "state",
}


def text_of(value: Any) -> str:
    return str(getattr(value, "name", value))


def key_of(hit: Mapping[str, Any]) -> str | int:
    key: str | int = hit["id"] if "id" in hit else hit[next(iter(hit))]
    return key


def schema_of(raw: Mapping[str, Any]) -> Schema:
    return Schema(
        tuple(field_of(f) for f in raw["fields"]),
        bool(raw["enable_dynamic_field"]),
        str(raw.get("description", "")),
    )


def field_of(raw: Mapping[str, Any]) -> Field:
    params = raw.get("params") or {}
    element = raw.get("element_type")
    return Field(
        name=raw["name"],
        type=DataType(raw["type"]).name,
        primary=bool(raw.get("is_primary")),
        auto_id=bool(raw.get("auto_id")),
        partition_key=bool(raw.get("is_partition_key")),
        nullable=bool(raw.get("nullable")),
        max_length=_int(params.get("max_length")),
        dim=_int(params.get("dim")),
        max_capacity=_int(params.get("max_capacity")),
        element_type=DataType(element).name if element else None,
        field_id=_int(raw.get("field_id")),
        description=str(raw.get("description", "")),
        default=_default(raw.get("default_value")),
    )


def _default(raw: Any) -> bool | int | float | str | None:
    """The value of a `schemapb.ValueField`."""
    kind = raw.WhichOneof("data") if raw is not None else None
    if kind is None:
        return None
    value = getattr(raw, kind)
    if isinstance(value, bytes):  # JSON text
        return value.decode()
    plain: bool | int | float | str = value
    return plain


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def field_options(field: Field) -> dict[str, Any]:
    options: dict[str, Any] = {
        "is_primary": field.primary,
        "auto_id": field.auto_id,
        "is_partition_key": field.partition_key,
        "description": field.description,
    }
    if field.nullable:
        options["nullable"] = True
    if field.default is not None:
        options["default_value"] = field.default
    for name in ("max_length", "dim", "max_capacity"):
        value = getattr(field, name)
        if value is not None:
            options[name] = value
    if field.element_type:
        options["element_type"] = DataType[field.element_type]
    return options


def index_state_of(raw: Mapping[str, Any]) -> IndexState:
    params = {k: v for k, v in raw.items() if k not in _INDEX_KEYS}
    return IndexState(
        Index(
            name=raw["index_name"],
            field=raw["field_name"],
            type=raw["index_type"],
            metric=str(raw.get("metric_type", "")),
            params=params_as_text(params),
        ),
        total_rows=int(raw.get("total_rows", 0)),
        indexed_rows=int(raw.get("indexed_rows", 0)),
        pending_rows=int(raw.get("pending_index_rows", 0)),
        state=text_of(raw.get("state", "")),
    )
