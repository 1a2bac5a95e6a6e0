"""What rows say of themselves: the model that embedded them, the chunker that cut them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kitestring.checks.base import Pair, check, command, examples_text, pairs, rows_text
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Location, Severity
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

MODEL, CHUNKER = "embedding.model-mismatch", "chunking.mismatch"


def model_mismatch(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows whose label is not the collection's model."""
    for pair in pairs(loaded, snapshot):
        census = pair.observed.census
        if pair.spec.model is None:
            yield _inconclusive(
                MODEL,
                pair,
                "the spec does not say which model made the vectors",
                "a model",
                "name `model` of the collection, and describe it in `models`",
                pair.locate(),
            )
        elif pair.spec.fields.embedding_model is None:
            yield _no_field(MODEL, pair, "embedding_model", "`name@version` of the model")
        elif census is not None:
            yield from _compared(
                MODEL,
                pair,
                "embedding_model",
                pair.spec.model,
                census.models,
                census.model_examples,
                pair.locate("model"),
                "ingest these documents again, or all into a new collection: " + _again(pair),
            )


def chunker_mismatch(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Rows that were cut otherwise than the spec says. Without `chunking` nothing is expected."""
    for pair in pairs(loaded, snapshot):
        census = pair.observed.census
        if pair.spec.chunking is None:
            continue
        if pair.spec.fields.chunker is None:
            yield _no_field(CHUNKER, pair, "chunker", "`strategy/size/overlap/version`")
        elif census is not None:
            yield from _compared(
                CHUNKER,
                pair,
                "chunker",
                pair.spec.chunking.label,
                census.chunkers,
                census.chunker_examples,
                pair.locate("chunking"),
                "ingest these documents again: " + _again(pair),
            )


def _again(pair: Pair) -> str:
    rest = ("--verify", "--allow-mixed", "PATH...")
    return command(pair.loaded, "ingest", "--collection", pair.spec.name, *rest)


def _compared(
    check_id: str,
    pair: Pair,
    role: str,
    expected: str,
    labels: Mapping[str, int] | None,
    examples: Mapping[str, tuple[str, ...]],
    location: Location,
    hint: str,
) -> Iterator[Finding]:
    if labels is None:
        field = getattr(pair.spec.fields, role)
        census = pair.observed.census
        if census and not census.complete and pair.observed.info.schema.field(field):
            return  # its rows were not read, which `rows.scan` tells
        yield _inconclusive(
            check_id,
            pair,
            f"the collection has no field `{field}` to tell it by",
            expected,
            f"correct `fields.{role}` of the collection",
            pair.locate("fields", role),
        )
        return
    others = {label: n for label, n in labels.items() if label != expected and n}
    if not others:
        return
    ordered = sorted(others, key=lambda label: (-others[label], label))
    keys = tuple(key for label in ordered for key in examples.get(label, ())[:3])
    what = "by another model" if check_id == MODEL else "by another chunker"
    yield Finding(
        check_id,
        Severity.FAIL,
        pair.subject,
        f"{rows_text(sum(others.values()))} made {what}{examples_text(keys)}",
        expected=expected,
        observed="; ".join(
            f"{label or '(no label)'}: {rows_text(labels[label])}"
            for label in sorted(labels, key=lambda label: (-labels[label], label))
        ),
        hint=hint,
        location=location,
    )


def _no_field(check_id: str, pair: Pair, role: str, holds: str) -> Finding:
    return _inconclusive(
        check_id,
        pair,
        f"no field of the collection plays the role `{role}`",
        f"a field for the role `{role}`",
        f"add a VARCHAR field that holds {holds}, and name it in `fields.{role}`",
        pair.locate("fields", role),
    )


def _inconclusive(
    check_id: str, pair: Pair, message: str, expected: str, hint: str, location: Location
) -> Finding:
    return Finding(
        check_id,
        Severity.WARN,
        pair.subject,
        message,
        expected=expected,
        observed="unknown",
        hint=hint,
        location=location,
        inconclusive=True,
    )


CHECKS = (
    check(
        MODEL,
        "Every row was embedded by the collection's model",
        model_mismatch,
        meaning="Rows carry the label of another model than the spec's. A distance between "
        "vectors of two models means nothing: these rows are found by chance, or never.",
        cause="Ingestion ran with another model, a model was upgraded half-way, or a restore "
        "brought back rows from before the upgrade.",
        mend="Ingest the documents again with the right model (`--verify --allow-mixed`), or "
        "all of them into a new collection, and move the alias.",
        evidence=Evidence.ROWS,
    ),
    check(
        CHUNKER,
        "Every row was cut by the collection's chunker",
        chunker_mismatch,
        meaning="Rows carry the label of another chunking than the spec's: passages overlap, "
        "are doubled, or are longer than the model reads.",
        cause="Size, overlap or strategy were changed and only part of the corpus was ingested "
        "again.",
        mend="Ingest the corpus again (`--verify --allow-mixed`).",
        evidence=Evidence.ROWS,
    ),
)
