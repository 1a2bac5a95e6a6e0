"""The gates of a cutover: both collections beside each other, row by row and answer by answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from kitestring.clients.embedder import Embedder
from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.backup import RowDigest
from kitestring.model.collection import CollectionInfo
from kitestring.model.digest import DigestBuilder
from kitestring.model.finding import Verdict
from kitestring.model.reembed import Gate
from kitestring.recall.exact import summarise
from kitestring.reembed.again import vectors_gate
from kitestring.reembed.ask import (
    Asked,
    Questions,
    hit_rate,
    medians,
    overlaps,
    probe_of,
    questions,
)
from kitestring.reembed.columns import Columns
from kitestring.reembed.copy import Copier
from kitestring.reembed.journal import Journal
from kitestring.reembed.refuse import Change
from kitestring.reembed.rows import read_rows
from kitestring.reembed.shadow import await_index
from kitestring.spec.loaded import LoadedSpec

ROW_GATES = ("rows", "keys", "content", "labels")
ANSWER_GATES = ("recall", "overlap", "hits", "latency")
_SLACK = 0.002  # seconds: a difference of medians below it is noise


@dataclass(slots=True)
class _Read:
    """What one reading of all rows of a collection came to."""

    digest: RowDigest = field(default_factory=lambda: RowDigest(0, "", ""))
    labels: Counter[str] = field(default_factory=Counter)
    counted: int = 0


def measure(
    loaded: LoadedSpec,
    milvus: Milvus,
    change: Change,
    embedder: Embedder,
    copier: Copier,
    journal: Journal,
) -> tuple[Gate, ...]:
    """All gates. Every row of both collections is read once, with its vectors.

    Raises:
        GoldenInvalid: the file of golden queries has errors.
        MilvusError, EmbedderFailed.
    """
    columns, infos = copier.columns, (copier.source, copier.shadow)
    rows = milvus.count(copier.source.name)
    bare = await_index(milvus, copier.shadow)
    asked = _asked(loaded, milvus, change, embedder, infos, columns, journal, rows)
    old, new, found = asked if isinstance(asked, tuple) else (None, None, None)
    before = _read(loaded, milvus, copier.source.name, columns, old)
    after = _read(loaded, milvus, copier.shadow.name, columns, new)
    gates = _row_gates(before, after, copier, embedder.label)
    gates.append(vectors_gate(milvus, embedder, copier, journal))
    if old is None or new is None or found is None:
        verdict = Verdict.INCONCLUSIVE if rows else Verdict.PASS
        reason = asked if isinstance(asked, str) else ""
        gates += [Gate(name, "", "not measured", verdict, reason) for name in ANSWER_GATES]
        return tuple(gates)
    return (*gates, *_answer_gates(milvus, change, columns, old, new, found, bare))


def _asked(
    loaded: LoadedSpec,
    milvus: Milvus,
    change: Change,
    embedder: Embedder,
    infos: tuple[CollectionInfo, CollectionInfo],
    columns: Columns,
    journal: Journal,
    rows: int,
) -> tuple[Asked, Asked, Questions] | str:
    probes = [probe_of(loaded, change, info, rows) for info in infos]
    for probe in probes:
        if isinstance(probe, str):
            return probe
    found = questions(loaded, milvus, change, embedder, infos, columns, journal)
    if isinstance(found, str):
        return found
    old, new = (
        Asked(milvus, info, probe, queries)
        for info, probe, queries in zip(infos, probes, (found.old, found.new), strict=True)
        if not isinstance(probe, str)
    )
    return old, new, found


def _read(
    loaded: LoadedSpec, milvus: Milvus, name: str, columns: Columns, asked: Asked | None
) -> _Read:
    made = (columns.vector, columns.label) if asked else (columns.label,)
    wanted = [*columns.carried, *(n for n in made if n)]
    found = _Read(counted=milvus.count(name))
    builder = DigestBuilder(columns.key)

    def start() -> None:
        nonlocal builder
        builder = DigestBuilder(columns.key)
        found.labels.clear()
        if asked is not None:
            asked.restart()

    def take(batch: pa.RecordBatch, _: str) -> None:
        builder.add_hashes(*columns.hashes(batch))
        if columns.label:
            found.labels.update(batch.column(columns.label).to_pylist())
        if asked is not None:
            asked.add(batch, columns.key)

    read_rows(loaded, milvus, name, wanted, start, take)
    found.digest = builder.result()
    return found


def _row_gates(before: _Read, after: _Read, copier: Copier, label: str) -> list[Gate]:
    rows = before.digest.rows == after.digest.rows == before.counted == after.counted
    twice = ", ".join(map(str, copier.twice))
    reason = f"keys stand for more than one row, such as {twice}" if twice else ""
    if not rows and not reason:
        reason = f"count(*): {before.counted:,} and {after.counted:,}"
    keys = before.digest.keys == after.digest.keys
    content = before.digest.content == after.digest.content
    others = {k: n for k, n in after.labels.items() if k != label}
    return [
        Gate(
            "rows",
            f"{before.digest.rows:,}",
            f"{after.digest.rows:,}",
            _verdict(rows),
            "" if rows else reason,
        ),
        Gate("keys", "the same", _same(keys), _verdict(keys)),
        Gate("content", "the same but for vectors", _same(content), _verdict(content)),
        Gate(
            "labels",
            f"all {label}",
            f"{sum(others.values()):,} others" if others else "all",
            _verdict(not others),
        ),
    ]


def _answer_gates(
    milvus: Milvus,
    change: Change,
    columns: Columns,
    old: Asked,
    new: Asked,
    found: Questions,
    bare: str,
) -> list[Gate]:
    held, k, source = change.wanted.reembed, new.probe.k, found.new.source
    seed = f"{old.name}/{new.name}"
    was, now = (summarise(k, one.recalls(), seed) for one in (old, new))
    gates = [
        Gate(
            "recall",
            f"at least {held.recall:g}",
            f"{now.mean:.3f} (95% {now.low:.3f} to {now.high:.3f}); old index {was.mean:.3f}",
            _verdict(now.mean >= held.recall),
            f"recall@{k}, {source}" + (f"; {bare}" if bare else ""),
        )
    ]
    same = summarise(k, overlaps(old, new), seed)
    gates.append(
        Gate(
            "overlap",
            "reported only" if held.overlap is None else f"at least {held.overlap:g}",
            f"{same.mean:.3f} (95% {same.low:.3f} to {same.high:.3f})",
            _verdict(held.overlap is None or same.mean >= held.overlap),
            f"exact answers that both models have, of {k}",
        )
    )
    if found.golden:
        gates.append(_hits(milvus, change, columns, old, new, found))
    past, present = medians(milvus, old, new)
    gates.append(
        Gate(
            "latency",
            f"at most {held.latency:g} times the old one",
            f"{present * 1000:.1f} ms; old {past * 1000:.1f} ms",
            _verdict(present <= max(held.latency * past, past + _SLACK)),
            "median of a search, asked in turns",
        )
    )
    return gates


def _hits(
    milvus: Milvus, change: Change, columns: Columns, old: Asked, new: Asked, found: Questions
) -> Gate:
    def unmeasured(why: str) -> Gate:
        return Gate("hits", "", "not measured", Verdict.INCONCLUSIVE, why)

    if not columns.doc_id:
        return unmeasured("rows do not name their document: name the field in `fields.doc_id`")
    had, has = (hit_rate(milvus, one, columns, found.golden) for one in (old, new))
    if not had and not has:
        return unmeasured(
            "neither model finds a relevant document for any golden query: `relevant` names "
            "documents of another collection, or that are gone"
        )
    least = had - change.wanted.reembed.hits_lost
    return Gate(
        "hits",
        f"at least {max(0.0, least):.3f}",
        f"{has:.3f}; old model {had:.3f}",
        _verdict(has >= least - 1e-9),
        f"golden queries with a relevant document among {new.probe.k}",
    )


def _verdict(met: bool) -> Verdict:
    return Verdict.PASS if met else Verdict.FAIL


def _same(same: bool) -> str:
    return "the same" if same else "others"
