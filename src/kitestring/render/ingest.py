"""An ingestion and a search in text and JSON."""

from __future__ import annotations

import json
import re
import textwrap

from kitestring.model.codec import to_plain
from kitestring.model.ingest import IngestReport, Passage, SearchReport
from kitestring.model.words import plural
from kitestring.render.words import duration

_CONTROL = re.compile(r"[^\S \n]|[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_SHOWN = 5  # files passed over that are listed by name


def ingest_text(report: IngestReport) -> str:
    """What an ingestion did, in a few lines."""
    rate = report.rows_written / report.seconds if report.seconds else 0.0
    lines = [
        f"{report.collection}: {plural(report.documents, 'document')}: "
        f"{report.documents_written:,} written, {report.documents_unchanged:,} unchanged, "
        f"{report.documents_removed:,} removed, {len(report.failed):,} failed"
        + (f", {report.documents_parked:,} in part" if report.documents_parked else ""),
        f"rows: {report.rows_written:,} written, {report.rows_deleted:,} deleted, "
        f"{report.rows:,} in the collection",
        f"model {report.model}, chunker {report.chunker}, tenant {report.tenant}",
        f"{duration(report.seconds)}, {rate:,.0f} rows/s ("
        + ", ".join(f"{name} {duration(s)}" for name, s in report.phases.items())
        + ")",
        *_checked(report),
    ]
    return "\n".join(lines) + "\n"


def _checked(report: IngestReport) -> list[str]:
    """What was looked at again; nothing where nothing was written."""
    lines = []
    if report.cache:
        texts = report.cache.hits + report.cache.misses
        lines.append(
            f"embedding cache: {report.cache.hits:,} of {plural(texts, 'text')} were in it"
        )
    if seen := report.read_back:
        what = "keys and content hashes" if seen.by_content else "keys"
        lines.append(
            f"read back: {plural(seen.rows, 'row')}, {what}: "
            + (f"{seen.wrong:,} missing or changed" if seen.wrong else "all as written")
        )
    if (spots := report.spot_checks) and spots.inconclusive:
        lines.append(f"spot checks: inconclusive: {spots.inconclusive}")
    elif spots:
        lines.append(
            f"spot checks: {plural(spots.passages, 'passage')} embedded again and searched for: "
            + (f"{spots.failed:,} failed" if spots.failed else "all found")
            + (f", {spots.approximate:,} by exact search only" if spots.approximate else "")
        )
    return lines


def pass_line(report: IngestReport) -> str:
    """One pass of a watch in one line."""
    parked = len(report.failed) + len(report.parked)
    said = [
        f"{report.documents_written:,} written",
        f"{report.documents_removed:,} removed",
        f"{report.documents_unchanged:,} unchanged",
        *([f"{parked:,} parked"] if parked else []),
        *(f"{e.documents:,} kept of the emptied {e.path}" for e in report.emptied),
        f"rows: {report.rows_written:,} written, {report.rows_deleted:,} deleted",
        *(["rows are not as written"] if report.exit_code == 2 else []),
    ]
    return f"{report.collection}: {', '.join(said)} ({duration(report.seconds)})"


def ingest_notes(report: IngestReport) -> list[str]:
    """What a user should know of it beside the result; for stderr."""
    lines = [f"created: {what}" for what in report.made]
    lines += [f"note: {note}" for note in report.notes]
    lines += [
        f"{one.path} holds no document any more, and {one.documents:,} were in it: they stay. If "
        "they are deleted and not only away: --remove-emptied"
        for one in report.emptied
    ]
    lines += [f"skipped: {what}" for what in report.skipped[:_SHOWN]]
    if len(report.skipped) > _SHOWN:
        lines.append(f"skipped: {len(report.skipped) - _SHOWN:,} more")
    for failure in report.failed:
        lines += _because(f"failed: {failure.message}", failure.hint)
    for letter in report.parked[:_SHOWN]:
        lines += _because(f"parked: {letter.what}: {letter.reason}", letter.hint)
    if len(report.parked) > _SHOWN:
        lines.append(f"parked: {len(report.parked) - _SHOWN:,} more")
    if report.dead_letters:
        lines.append(
            f"dead letters: {report.dead_letters:,} in {report.dead_letter_file}; the next run "
            "over their documents tries them again"
        )
    if seen := report.read_back:
        lines += [f"not as written: {row}; the next run writes it again" for row in seen.examples]
    if spots := report.spot_checks:
        lines += [f"spot check failed: {what}" for what in spots.examples]
    return lines


def _because(line: str, hint: str) -> list[str]:
    return [line, f"  hint: {hint}"] if hint else [line]


def ingest_json(report: IngestReport, *, line: bool = False) -> str:
    """The report as JSON text, or as one line of it."""
    plain = {**to_plain(report), "exit_code": report.exit_code}
    return json.dumps(plain, ensure_ascii=False) + "\n" if line else _json(plain)


def search_text(report: SearchReport, *, width: int = 100, parents: bool = False) -> str:
    """The passages found, nearest first, each with where it is from; or with their `parents`'
    text."""
    parts = [_passage(number, p, width, parents) for number, p in enumerate(report.passages, 1)]
    return "\n".join(parts)


def search_notes(report: SearchReport) -> list[str]:
    """What a user should know of the answers; for stderr."""
    lines = []
    if not report.passages:
        lines.append(f"note: `{report.collection}` has nothing to find")
    elif not report.confident:
        lines.append(
            f"note: no passage passes the confidence of the spec ({report.confidence:g}, "
            f"{report.metric})"
        )
    lines += [
        f"warning: {plural(count, 'passage')} of {len(report.passages)} came from the model "
        f"`{label}`, the question from `{report.model}`: their scores mean nothing"
        for label, count in report.other_models.items()
    ]
    return lines


def search_json(report: SearchReport) -> str:
    """The passages as JSON text."""
    return _json(to_plain(report))


def _passage(number: int, passage: Passage, width: int, parents: bool) -> str:
    verdict = {True: "confident", False: "below confidence", None: "no confidence set"}
    head = (
        f"{number}. {passage.score:.4f}  {_plain(passage.doc_id or '-')}"
        f"#{'-' if passage.chunk_index is None else passage.chunk_index}"
        f"  {_plain(passage.embedding_model or 'unknown model')}  {verdict[passage.confident]}"
    )
    text = passage.text
    if passage.parent:
        head += f"\n   within characters {passage.parent.start:,} to {passage.parent.end:,}"
        text = passage.parent.text if parents else text
    body = textwrap.fill(
        " ".join(_plain(text or "").split()),
        width,
        initial_indent="   ",
        subsequent_indent="   ",
    )
    return f"{head}\n{body}\n"


def _plain(text: str) -> str:
    """Text without control characters: what is stored must not steer a terminal."""
    return _CONTROL.sub(" ", text)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
