"""The collection, field and model that a canary is about."""

from __future__ import annotations

from dataclasses import dataclass

from kitestring.errors import CollectionUnfit
from kitestring.model.collection import CollectionInfo, Field
from kitestring.spec.crosscheck_canary import COMPARED
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec, EmbeddingModel


@dataclass(frozen=True, slots=True)
class Subject:
    spec: CollectionSpec
    model: EmbeddingModel
    info: CollectionInfo
    vector: Field
    text: str


def subject_of(loaded: LoadedSpec, spec: CollectionSpec, info: CollectionInfo) -> Subject:
    """What is compared in a collection.

    Raises:
        CollectionUnfit: the spec names no model or text, or the collection has no such field, or
            vectors of another kind or dimension than the model's.
    """
    model = loaded.spec.model_named(spec.model)
    if model is None:
        raise _unfit(spec, "the spec names no model for it", "name `model` of the collection")
    field = info.schema.field(spec.fields.vector)
    if field is None or field.type not in COMPARED:
        kind = "no field" if field is None else f"vectors of type {field.type} in the field"
        raise _unfit(
            spec,
            f"it has {kind} `{spec.fields.vector}`",
            f"correct `fields.vector` in the spec: a field of {', '.join(COMPARED)}",
        )
    if field.dim != model.dimension:
        raise _unfit(
            spec,
            f"its vectors have {field.dim} dimensions, those of `{model.label}` {model.dimension}",
            "name the model that made the collection's vectors",
        )
    text = spec.fields.text
    if text is None or info.schema.field(text) is None:
        raise _unfit(
            spec,
            f"it has no field `{text}`" if text else "no field plays the role `text`",
            "name the field of the texts in `fields.text` of the spec",
        )
    return Subject(spec, model, info, field, text)


def _unfit(spec: CollectionSpec, why: str, hint: str) -> CollectionUnfit:
    return CollectionUnfit(
        f"the vectors of `{spec.name}` can't be compared with a model: {why}",
        hint=hint,
        subject=spec.name,
    )
