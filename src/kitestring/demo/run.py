"""The whole loop on a real Milvus: ingest, enforce, back up, drill, plant faults, find, correct."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kitestring.backup.catalog import open_catalog
from kitestring.backup.verify import verify
from kitestring.clients.milvus.client import MilvusServer
from kitestring.clients.milvus.connect import connect
from kitestring.clients.milvus.waiting import wait_until
from kitestring.demo.ansible import PlayResult, play
from kitestring.demo.corpus import write_corpus
from kitestring.demo.faults import (
    Fault,
    plant_definition_faults,
    plant_release,
    plant_row_faults,
)
from kitestring.demo.story import DemoFailed, Say, Story
from kitestring.demo.targets import Target
from kitestring.drift.run import detect
from kitestring.drill.run import run_drill
from kitestring.ingest.run import ingest
from kitestring.ingest.search import search
from kitestring.model.drill import DrillRecord
from kitestring.model.finding import Severity
from kitestring.model.report import DriftReport
from kitestring.render.report import report_page
from kitestring.render.words import data_size
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec

MARKER = "made-by-the-demo"
QUESTION = "how do I make a temporary directory?"


@dataclass(slots=True)
class Told:
    """What the steps learn, and the page needs."""

    faulty: DriftReport | None = None
    corrected: DriftReport | None = None
    drill: DrillRecord | None = None
    faults: list[Fault] = field(default_factory=list)


def run_demo(root: Path, target: Target, *, keep: bool, say: Say) -> Path:
    """Runs every step and returns the path of the page.

    Args:
        root: a checkout of the project: its spec, playbooks and golden queries are used.
        target: where Milvus comes from.
        keep: leave the server and its data; otherwise only the page and the logs stay.

    Raises:
        DemoFailed: a step did not end as it has to, or `root` is no checkout.
    """
    spec_file = root / target.spec
    if not spec_file.is_file() or not (root / "playbooks" / "day2.yml").is_file():
        raise DemoFailed(
            f"{root} is no checkout of kitestring: {target.spec} or playbooks/day2.yml is missing",
            hint="run it from the root of a checkout, or name one with --root",
        )
    os.environ.update(target.overlay)
    loaded = load(spec_file)
    home = loaded.state_dir.parent
    _clear(root, loaded, target, home)
    story, told = Story(say), Told()
    try:
        with story.step("start Milvus") as step:
            step.says(target.start(root, loaded))
        with connect(loaded) as milvus:
            _tell(root, loaded, milvus, home, story, told)
    finally:
        page = _write_page(home, loaded, story, told)
        if not keep:
            _remove(root, loaded, target, home)
    say(f"     {story.seconds:6.1f} s  in all")
    if keep:
        say(target.kept(loaded))
    return page


def _tell(
    root: Path, loaded: LoadedSpec, milvus: MilvusServer, home: Path, story: Story, told: Told
) -> None:
    collection = loaded.spec.collections[0]
    corpus, log = home / "corpus", home / "ansible.log"

    def day2(*extra: str) -> PlayResult:
        return play(root, "day2.yml", loaded.file, log=log, extra=extra)

    with story.step("ingest documents") as step:
        documents = write_corpus(corpus)
        first = ingest(loaded, milvus, collection.name, [corpus])
        step.expect(not first.failed, f"{len(first.failed)} documents could not be read")
        step.says(f"{documents:,} documents became {first.rows:,} passages of {first.model}")
    with story.step("ingest them again") as step:
        again = ingest(loaded, milvus, collection.name, [corpus])
        step.expect(again.rows_written == 0, f"{again.rows_written} rows were written again")
        step.says(f"{again.documents_unchanged:,} documents unchanged, 0 rows written")
    with story.step("ask a question") as step:
        found = search(loaded, milvus, collection.aliases[0], QUESTION, limit=3)
        step.expect(bool(found.passages), "nothing was found")
        best = found.passages[0]
        step.says(f"`{QUESTION}` finds {best.doc_id} with {best.score:.2f}")
    with story.step("Ansible, first run") as step:
        done = day2()
        step.expect(done.exit_code == 0, f"ansible-playbook failed; see {log}")
        step.expect(done.changed > 0, "the first run changed nothing")
        step.says(_changes(done))
    with story.step("Ansible, second run") as step:
        done = day2()
        step.expect((done.exit_code, done.changed) == (0, 0), f"changed={done.changed}; see {log}")
        step.says("changed=0")
    with story.step("verify the backup") as step:
        catalog = open_catalog(loaded)
        result = verify(catalog, catalog.resolve("latest"), tier="full")
        step.expect(not result.problems, "; ".join(map(str, result.problems)))
        summary = catalog.summaries()[0]
        size = data_size(summary.bytes)
        step.says(f"{summary.rows:,} rows, {size}: every object hashed, every row read")
    with story.step("restore drill") as step:
        told.drill = run_drill(loaded)
        step.says(_drill_line(told.drill))
        step.expect(told.drill.passed, f"missed: {_missed(told.drill)}")
    with story.step("drift, before") as step:
        clean = detect(loaded)
        step.expect(clean.exit_code == 0, f"exit code {clean.exit_code}: {_checks_of(clean)}")
        step.says(f"exit code 0: {clean.check_counts['pass']} checks pass")
    with story.step("plant faults") as step:
        told.faults = [*plant_row_faults(milvus, collection)]
        milvus.flush(collection.name)
        told.faults += plant_definition_faults(milvus, collection)
        step.says(f"{len(told.faults)}: {'; '.join(f.what for f in told.faults)}")
    with story.step("drift, with faults") as step:
        told.faulty = detect(loaded)
        missed = _not_found(told.faults, told.faulty)
        step.expect(not missed, f"not found: {', '.join(missed)}")
        step.expect(told.faulty.exit_code == 2, f"exit code {told.faulty.exit_code}")
        step.says(f"exit code 2: all {len(told.faults)} found")
    with story.step("Ansible refuses") as step:
        done = day2()
        step.expect(done.exit_code != 0, "rows of another model went through")
        step.expect(done.changed == 0, "something was changed before the play failed")
        step.says("rows carry another model than the spec says: the play fails, changes nothing")
    with story.step("release it, drift") as step:
        released = plant_release(milvus, collection)
        blind = detect(loaded)
        step.expect(not _not_found([released], blind), f"not found: {released.check}")
        unseen = sum(f.inconclusive for f in blind.findings)
        step.expect(unseen > 0, "rows that can't be read passed as clean")
        step.says(f"exit code {blind.exit_code}: found; {unseen} checks of rows are inconclusive")
    _correct(loaded, milvus, collection, corpus, day2, story, told)


def _correct(
    loaded: LoadedSpec,
    milvus: MilvusServer,
    collection: CollectionSpec,
    corpus: Path,
    day2: Callable[..., PlayResult],
    story: Story,
    told: Told,
) -> None:
    with story.step("Ansible corrects") as step:
        done = day2("--tags", "reconcile")
        step.expect(done.exit_code == 0, "ansible-playbook failed; see ansible.log")
        step.says(f"changed={done.changed}: index, load state and alias are as the spec says")
    with story.step("repair the rows") as step:
        milvus.drop_collection(f"{collection.name}_older")
        mended = ingest(
            loaded, milvus, collection.name, [corpus], allow_mixed=True, prune=True, verify=True
        )
        # query nodes take up what is new on disk by themselves within a minute; this is quicker
        wait_until(
            lambda: not any(i.pending_rows for i in milvus.describe(collection.name).indexes),
            timeout=60,
            what="the index of the new rows",
        )
        milvus.release(collection.name)
        milvus.load(collection.name)
        step.says(f"{mended.rows_written} rows written again, {mended.rows_deleted} deleted")
    with story.step("drift, corrected") as step:
        waited = wait_until(
            lambda: _taken_up(loaded, told), timeout=90, what="the query nodes' index", longest=2.0
        )
        assert told.corrected is not None  # noqa: S101 - for the type checker
        step.expect(
            told.corrected.exit_code == 0,
            f"exit code {told.corrected.exit_code}: {_checks_of(told.corrected)}",
        )
        settled = f", after {waited:.0f} s for the query nodes' index" if waited > 1 else ""
        step.says(f"exit code 0{settled}")


def _changes(done: PlayResult) -> str:
    tasks = [task.split(" : ")[-1] for task in done.task_lines("changed:")]
    text = f"changed={done.changed}: {'; '.join(tasks)}"
    reason = re.search(r"NOT SCHEDULED: ([^\"\n]+)", done.output)
    return f"{text}. Not scheduled: {reason[1]}" if reason else text


def _taken_up(loaded: LoadedSpec, told: Told) -> bool:
    """Whether query nodes search with the index: they take it up some seconds after it is built."""
    told.corrected = detect(loaded)
    return not any(
        f.check == "index.segments" and f.severity is Severity.FAIL for f in told.corrected.findings
    )


def _not_found(faults: Sequence[Fault], report: DriftReport) -> list[str]:
    seen = {f.check for f in report.findings if not f.inconclusive}
    return [fault.check for fault in faults if fault.check not in seen]


def _checks_of(report: DriftReport) -> str:
    return ", ".join(sorted({f"{f.check}: {f.message}" for f in report.findings}))


def _missed(record: DrillRecord) -> str:
    return ", ".join(f"{o.name}: {o.measured}" for o in record.objectives if not o.met)


def _drill_line(record: DrillRecord) -> str:
    recalls = [c.recall for c in record.collections if c.recall is not None]
    recall = f", recall@{recalls[0].k} {recalls[0].mean:.3f}" if recalls else ""
    rows = sum(c.rows_restored for c in record.collections)
    return (
        f"{rows:,} rows restored into a second server: "
        f"RPO {record.rpo_seconds:.0f} s, RTO {record.rto_seconds:.1f} s{recall}"
    )


def _clear(root: Path, loaded: LoadedSpec, target: Target, home: Path) -> None:
    """Makes room for the demo; what somebody else put there is not touched."""
    if home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise DemoFailed(
                f"{home} holds data that the demo did not make",
                hint=f"{target.kept(loaded)}; then move {home} away and run again",
            )
        target.stop(root, loaded)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / MARKER).touch()


def _remove(root: Path, loaded: LoadedSpec, target: Target, home: Path) -> None:
    """Takes Milvus and its data away; the page and the logs stay."""
    target.stop(root, loaded)
    if shutil.which("crontab"):
        play(root, "unschedule.yml", loaded.file, log=home / "ansible.log")
    for entry in home.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)


def _write_page(home: Path, loaded: LoadedSpec, story: Story, told: Told) -> Path:
    page = home / "report.html"
    backups = open_catalog(loaded).summaries() if told.drill else ()
    page.write_text(
        report_page(
            title="Kitestring demo",
            lead=f"{len(story.steps)} steps in {story.seconds:.0f} seconds, on a real Milvus",
            drift=told.faulty,
            corrected=told.corrected,
            drill=told.drill,
            backups=backups,
            timeline=story.steps,
        )
    )
    return page
