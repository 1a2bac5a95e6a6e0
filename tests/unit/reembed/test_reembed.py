"""What a re-embedding does and refuses, on a server in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kitestring.clients.embedder import Embedder, make_embedder
from kitestring.clients.resolve import resolve
from kitestring.errors import (
    EmbedderFailed,
    GoldenInvalid,
    IngestError,
    LedgerBusy,
    NotResolved,
    ReembedBusy,
    ReembedError,
    ReembedRefused,
    ReembedUnproven,
    RegistryUnreadable,
    UsageError,
)
from kitestring.ingest.ledger import open_ledger
from kitestring.ingest.search import search
from kitestring.model.finding import Verdict
from kitestring.model.reembed import DISCARDED, READY, ROLLED_BACK, SWITCHING
from kitestring.reembed import ask
from kitestring.reembed import cutover as cutovers
from kitestring.reembed.cutover import cutover
from kitestring.reembed.finish import finish
from kitestring.reembed.plan import plan
from kitestring.reembed.record import folder, held, now_ms, operation_for
from kitestring.reembed.rollback import rollback
from kitestring.reembed.run import run
from kitestring.reembed.status import status
from kitestring.spec.registry import registry_file
from tests.unit.reembed.conftest import SPEC, Site

HOUR = 3_600_000
TO = "words@1"


def copied(site: Site) -> None:
    run(site.loaded(), site.milvus, "docs", TO)


def switched(site: Site) -> None:
    copied(site)
    report = cutover(site.loaded(), site.milvus, "docs")
    assert report.exit_code == 0, report.operation.gates


def verdicts(report: cutovers.CutoverReport) -> dict[str, Verdict]:
    return {gate.name: gate.verdict for gate in report.operation.gates}


# --- copy


def test_rows_are_copied_whole_with_the_new_models_vectors(site: Site) -> None:
    key = next(iter(site.milvus.rows("docs_v1")))
    site.milvus.rows("docs_v1")[key]["$meta"] = json.dumps({"page": 7}).encode()
    copied(site)
    old, new = site.milvus.rows("docs_v1")[key], site.milvus.rows("docs_v2")[key]
    made = {"embedding", "embedding_model", "last_embedded_at"}
    assert {k: v for k, v in new.items() if k not in made} == {
        k: v for k, v in old.items() if k not in made
    }
    assert new["embedding_model"] == TO
    loaded = site.loaded()
    model = loaded.spec.model_named(TO)
    assert model is not None
    vector = make_embedder(loaded, model).embed([old["text"]])[0]
    np.testing.assert_allclose(new["embedding"], vector, rtol=1e-6)
    info = site.milvus.describe("docs_v2")
    assert info.loaded
    assert [(i.index.field, i.index.type) for i in info.indexes] == [("embedding", "FLAT")]
    assert site.milvus.alias_owner("docs") == "docs_v1"


def test_a_second_run_embeds_nothing(site: Site) -> None:
    copied(site)
    calls = len(site.milvus.cluster.calls)
    copied(site)
    assert not [c for c in site.milvus.cluster.calls[calls:] if c[0] in ("upsert", "delete")]


def test_ingestion_while_the_copy_runs_ends_up_in_both(site: Site) -> None:
    """It shrinks a document, drops one and brings one, after the copy has read the first page."""
    loaded = site.loaded()

    def meanwhile() -> None:
        if not site.milvus.has_collection("docs_v2"):
            return
        site.milvus.on_page = lambda: None
        site.write("kites.md", "The string of a kite keeps it.")
        site.write("late.md", "A late document has come after all the others did.")
        (site.corpus / "trees.md").unlink()
        assert site.ingest().collection == "docs_v1"

    site.milvus.on_page = meanwhile
    run(loaded, site.milvus, "docs", TO)
    assert site.texts("docs_v2") == site.texts("docs_v1")
    assert any("late document" in text for text in site.texts("docs_v2").values())
    assert status(site.loaded(), "docs")[0].lag == 0
    site.write("boats.md", "Boats lie in a harbour, and sink.")
    site.ingest()
    assert status(site.loaded(), "docs")[0].lag == 1
    assert cutover(site.loaded(), site.milvus, "docs").exit_code == 0
    assert site.texts("docs_v2") == site.texts("docs_v1")
    with open_ledger(site.loaded()) as ledger:
        assert {row.key for row in ledger.rows("docs_v2")} == site.texts("docs_v2").keys()
        assert set(ledger.labels("docs_v2")) == {(TO, "sentence/64/0/1")}


def test_documents_of_the_corpus_are_known_as_written_under_the_new_model(site: Site) -> None:
    site.edit("    aliases: [docs]", "    corpus: {path: corpus}\n    aliases: [docs]")

    def digests(name: str) -> dict[str, str]:
        with open_ledger(site.loaded()) as ledger:
            return {doc: d.digest for doc, d in ledger.documents(name, "default").items()}

    switched(site)
    after = digests("docs_v2")
    assert after.keys() == digests("docs_v1").keys()
    assert set(after.values()).isdisjoint(digests("docs_v1").values())
    site.ingest()
    assert digests("docs_v2") == after


def test_rows_that_no_ledger_knows_are_taken_at_the_cutover(site: Site) -> None:
    copied(site)
    stored = site.milvus.rows("docs_v1")
    key, row = next(iter(stored.items()))
    stored[key] = {**row, "$meta": b'{"changed": true}'}
    stored["stranger"] = {**row, "id": "stranger"}
    site.milvus.partition["docs_v1", "stranger"] = "_default"
    assert cutover(site.loaded(), site.milvus, "docs").exit_code == 0
    assert json.loads(site.milvus.rows("docs_v2")[key]["$meta"]) == {"changed": True}
    assert "stranger" in site.milvus.rows("docs_v2")


def test_a_row_without_text_stops_it_and_is_named(site: Site) -> None:
    key = next(iter(site.milvus.rows("docs_v1")))
    site.milvus.rows("docs_v1")[key]["text"] = None
    with pytest.raises(ReembedRefused, match=key):
        copied(site)


# --- gates and cutover


def test_a_missed_gate_is_no_cutover(site: Site) -> None:
    site.edit("hits_lost: 1.0", "overlap: 1.0")
    site.write("more.md", " ".join(f"Kite {n} is of {n * n} colours and flies." for n in range(30)))
    site.ingest()
    copied(site)
    report = cutover(site.loaded(), site.milvus, "docs")
    assert report.exit_code == 2
    assert verdicts(report)["overlap"] is Verdict.FAIL
    assert verdicts(report)["rows"] is verdicts(report)["content"] is Verdict.PASS
    assert site.milvus.alias_owner("docs") == "docs_v1"
    operation = operation_for(site.loaded(), "docs")
    assert operation is not None
    assert operation.state == READY
    assert site.ingest().collection == "docs_v1"


def test_a_copy_that_was_tampered_with_is_found_and_mended(site: Site) -> None:
    copied(site)
    rows = site.milvus.rows("docs_v2")
    changed, lost = list(rows)[:2]
    rows[changed]["doc_id"] = "another.md"
    del rows[lost]
    assert cutover(site.loaded(), site.milvus, "docs").exit_code == 0
    assert rows[changed]["doc_id"] == site.milvus.rows("docs_v1")[changed]["doc_id"]
    assert lost in rows


def test_an_old_model_that_is_silent_is_inconclusive(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(site)

    def silent(*_: object) -> Embedder:
        raise EmbedderFailed("it does not answer")

    monkeypatch.setattr(ask, "make_embedder", silent)
    report = cutover(site.loaded(), site.milvus, "docs")
    assert report.exit_code == 3
    assert verdicts(report)["recall"] is Verdict.INCONCLUSIVE
    assert verdicts(report)["content"] is Verdict.PASS
    assert site.milvus.alias_owner("docs") == "docs_v1"


def test_golden_queries_with_errors_are_no_cutover(site: Site) -> None:
    copied(site)
    (site.folder / "golden.yaml").write_text("version: 1\nqueries: []\n")
    with pytest.raises(GoldenInvalid, match="not a list of one or more queries"):
        cutover(site.loaded(), site.milvus, "docs")
    assert site.milvus.alias_owner("docs") == "docs_v1"


def test_without_golden_queries_stored_rows_are_asked(site: Site) -> None:
    site.edit("    golden: golden.yaml\n", "")
    copied(site)
    report = cutover(site.loaded(), site.milvus, "docs")
    assert report.exit_code == 0
    assert "hits" not in verdicts(report)
    recall = next(gate for gate in report.operation.gates if gate.name == "recall")
    assert "stored rows as queries" in recall.reason


def test_a_cutover_waits_for_no_running_ingestion(site: Site) -> None:
    copied(site)
    with open_ledger(site.loaded()) as ledger, ledger.run("docs_v1"), pytest.raises(LedgerBusy):
        cutover(site.loaded(), site.milvus, "docs")
    assert cutover(site.loaded(), site.milvus, "docs").exit_code == 0


def test_ingestion_that_began_before_the_cutover_writes_nothing(site: Site) -> None:
    before = site.loaded()
    switched(site)
    site.write("late.md", "A late document.")
    with pytest.raises(IngestError, match="clients have moved to `docs_v2`"):
        site.ingest(before)
    assert site.ingest().collection == "docs_v2"


def test_a_client_never_gets_the_name_of_one_and_the_encoder_of_another(site: Site) -> None:
    loaded = site.loaded()
    copied(site)
    got: set[tuple[str, str, int]] = set()
    asked, stop, failures = threading.Event(), threading.Event(), []

    def ask_on() -> None:
        try:
            while not stop.is_set():
                found = resolve("docs", spec=loaded, milvus=site.milvus)
                got.add((found.collection, found.model, found.embedder().dimension))
                asked.set()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)
            asked.set()

    client = threading.Thread(target=ask_on)
    client.start()
    try:
        assert asked.wait(60)
        for _ in range(3):
            cutover(site.loaded(), site.milvus, "docs")
            rollback(site.loaded(), site.milvus, "docs")
    finally:
        stop.set()
        client.join()
    assert failures == []
    assert got <= {("docs_v1", "chars@1", 32), ("docs_v2", TO, 48)}
    assert ("docs_v1", "chars@1", 32) in got


def test_resolve_takes_the_models_name_from_a_row_where_no_registry_is(site: Site) -> None:
    switched(site)
    registry_file(site.loaded()).unlink()
    found = resolve("docs", spec=site.loaded(), milvus=site.milvus)
    assert (found.collection, found.model, found.dimension, found.source) == (
        "docs_v2", TO, 48, "rows",
    )  # fmt: skip
    with pytest.raises(NotResolved, match="no collection or alias `dosc`"):
        resolve("dosc", spec=site.loaded(), milvus=site.milvus)


def test_search_asks_by_the_model_that_is_live(site: Site) -> None:
    switched(site)
    found = search(site.loaded(), site.milvus, "docs", "the string of a kite")
    assert (found.collection, found.model) == ("docs_v2", TO)
    assert found.other_models == {}


# --- the way back, the end


def test_rollback_says_what_ingestion_did_since(site: Site) -> None:
    switched(site)
    site.write("late.md", "A late document.")
    site.ingest()
    report = rollback(site.loaded(), site.milvus, "docs")
    assert (report.operation.state, report.ingested) == (ROLLED_BACK, 1)
    assert report.seconds is not None
    assert site.milvus.alias_owner("docs") == "docs_v1"
    assert site.ingest().rows_written == 1
    # and again: the new collection has what the old one has, no more and no less
    (site.corpus / "late.md").unlink()
    site.ingest()
    assert cutover(site.loaded(), site.milvus, "docs").exit_code == 0
    assert site.texts("docs_v2") == site.texts("docs_v1")


def test_rollback_after_the_spec_was_edited_names_the_lines_again(site: Site) -> None:
    switched(site)
    site.follow_cutover()
    assert site.loaded().edits() == ()
    rollback(site.loaded(), site.milvus, "docs")
    edits = site.loaded().edits()
    assert len(edits) == 2
    assert edits[0].endswith("name: docs_v2 -> name: docs_v1")
    assert site.loaded().spec.collections[0].name == "docs_v1"
    assert site.ingest().collection == "docs_v1"


def test_giving_up_drops_only_what_it_made(site: Site) -> None:
    copied(site)
    schema = site.milvus.describe("docs_v1").schema
    site.milvus.drop_collection("docs_v2")
    site.milvus.create_collection("docs_v2", schema)  # somebody else's
    with pytest.raises(ReembedRefused, match="is not the collection that this re-embedding made"):
        copied(site)
    assert rollback(site.loaded(), site.milvus, "docs").operation.state == DISCARDED
    assert site.milvus.has_collection("docs_v2")
    planned = plan(site.loaded(), site.milvus, "docs", TO)
    assert (planned.shadow, planned.refused) == ("docs_v3", ())


def test_finish_refuses_before_its_time(site: Site) -> None:
    copied(site)
    with pytest.raises(ReembedRefused, match="clients of `docs_v1` are not on `docs_v2`"):
        finish(site.loaded(), site.milvus, "docs")
    cutover(site.loaded(), site.milvus, "docs")
    with pytest.raises(ReembedRefused, match="model: chars@1 -> model: words@1"):
        finish(site.loaded(), site.milvus, "docs")
    site.follow_cutover()
    with pytest.raises(ReembedRefused, match=r"is kept until .* another "):
        finish(site.loaded(), site.milvus, "docs")
    with pytest.raises(ReembedRefused, match="the clock says"):
        finish(site.loaded(), site.milvus, "docs", now=now_ms() - HOUR)
    assert site.milvus.has_collection("docs_v1")


def test_finish_proves_every_row(site: Site) -> None:
    switched(site)
    site.follow_cutover()
    (site.corpus / "trees.md").unlink()
    site.ingest()  # deleted by ingestion: known
    lost = next(iter(site.milvus.rows("docs_v2")))
    row = site.milvus.rows("docs_v2").pop(lost)
    later = now_ms() + HOUR
    with pytest.raises(ReembedUnproven, match=rf"1 of .* such as {lost}"):
        finish(site.loaded(), site.milvus, "docs", now=later)
    assert site.milvus.has_collection("docs_v1")
    site.milvus.rows("docs_v2")[lost] = row
    report = finish(site.loaded(), site.milvus, "docs", now=later)
    assert (report.gone > 0, report.accepted) == (True, 0)
    assert not site.milvus.has_collection("docs_v1")
    with open_ledger(site.loaded()) as ledger:
        assert not ledger.has("docs_v1")
    with pytest.raises(ReembedRefused, match="no re-embedding of `docs` is under way"):
        rollback(site.loaded(), site.milvus, "docs")


def test_missing_rows_can_be_let_go_on_purpose(site: Site) -> None:
    switched(site)
    site.follow_cutover()
    site.milvus.rows("docs_v2").pop(next(iter(site.milvus.rows("docs_v2"))))
    report = finish(site.loaded(), site.milvus, "docs", accept_missing=True, now=now_ms() + HOUR)
    assert report.accepted == 1


# --- what can't work


@pytest.mark.parametrize(
    ("old", "new", "reason", "todo"),
    [
        ("    aliases: [docs]\n", "", "has no alias", "aliases: [docs]"),
        ("aliases: [docs]", "aliases: [docs, more]", "`more` points to `nothing`", "reconcile"),
        ("    aliases: [docs]", "    fields: {text: none}\n    aliases: [docs]",
         "do not hold the text", "fields.text"),
        ("type: FLAT, metric: COSINE", "type: IVF_PQ, metric: L2, params: {m: 32}",
         "48 is no multiple of 32", "`m` such as 24"),
        ("    model: chars@1", "    model: words@1", "embedded by `words@1` already", "nothing"),
    ],
)  # fmt: skip
def test_the_plan_says_what_stands_against_it(
    site: Site, old: str, new: str, reason: str, todo: str
) -> None:
    site.edit(old, new)
    found = plan(site.loaded(), site.milvus, "docs_v1", TO)
    assert found.exit_code == 1
    assert any(reason in what and todo in hint for what, hint in found.refused), found.refused
    with pytest.raises(ReembedRefused, match=reason):
        run(site.loaded(), site.milvus, "docs_v1", TO)
    assert not site.milvus.has_collection("docs_v2")
    assert not folder(site.loaded()).exists() or not list(folder(site.loaded()).glob("*.json"))


def test_a_plan_estimates_and_changes_nothing(site: Site) -> None:
    calls = len(site.milvus.cluster.calls)
    found = plan(site.loaded(), site.milvus, "docs", TO)
    assert found.refused == ()
    assert found.estimate is not None
    rows = site.texts("docs_v1")
    assert found.estimate.rows == found.estimate.sampled == len(rows)
    assert found.estimate.characters == sum(map(len, rows.values()))
    assert found.estimate.memory
    assert (found.dimension_from, found.dimension_to, found.shadow) == (32, 48, "docs_v2")
    assert len(site.milvus.cluster.calls) == calls


def test_unknown_names(site: Site) -> None:
    with pytest.raises(ReembedRefused, match="`models` has no `wrds@1`"):
        plan(site.loaded(), site.milvus, "docs", "wrds@1")
    with pytest.raises(UsageError, match="has no collection `dosc`"):
        plan(site.loaded(), site.milvus, "dosc", TO)
    with pytest.raises(UsageError, match="no re-embedding of `docs` is under way to go on with"):
        run(site.loaded(), site.milvus, "docs")
    with pytest.raises(ReembedRefused, match="no re-embedding of `docs` is under way"):
        cutover(site.loaded(), site.milvus, "docs")


def test_one_at_a_time(site: Site) -> None:
    copied(site)
    site.edit("  - {provider: hashing, name: words",
              '  - {provider: hashing, name: third, version: "1", dimension: 16}\n'
              "  - {provider: hashing, name: words")  # fmt: skip
    with pytest.raises(ReembedRefused, match="by `words@1` is under way"):
        run(site.loaded(), site.milvus, "docs", "third@1")
    refused = plan(site.loaded(), site.milvus, "docs", "third@1").refused
    assert any("another re-embedding" in what for what, _ in refused)
    with held(site.loaded(), "docs_v1"):
        assert status(site.loaded(), "docs")[0].working
        for step in (run, cutover, rollback):
            with pytest.raises(ReembedBusy):
                step(site.loaded(), site.milvus, "docs")


def test_damaged_files_are_named(site: Site) -> None:
    copied(site)
    path = folder(site.loaded()) / "docs_v1.json"
    kept = path.read_text()
    path.write_text(kept[:40])
    with pytest.raises(ReembedError, match=r"docs_v1\.json can't be read"):
        status(site.loaded())
    path.write_text(kept)
    registry = registry_file(site.loaded())
    registry.write_text("{}")
    with pytest.raises(RegistryUnreadable, match="belongs to the cluster"):
        site.loaded()
    registry.write_text("{")
    with pytest.raises(RegistryUnreadable, match="is damaged"):
        site.loaded()


def test_every_state_says_what_to_do_next(site: Site) -> None:
    def next_of(what: Callable[[Site], Any]) -> str:
        what(site)
        return status(site.loaded(), "docs")[0].next

    assert status(site.loaded()) == ()
    assert "reembed cutover --collection docs" in next_of(copied)
    assert "edit the spec" in next_of(lambda s: cutover(s.loaded(), s.milvus, "docs"))
    assert "reembed finish" in next_of(lambda s: s.follow_cutover())
    assert "--discard" in next_of(lambda s: rollback(s.loaded(), s.milvus, "docs"))
    ended = next_of(lambda s: rollback(s.loaded(), s.milvus, "docs", discard=True))
    assert "given up" in ended


def test_the_spec_file_itself_is_never_written(site: Site) -> None:
    switched(site)
    rollback(site.loaded(), site.milvus, "docs", discard=True)
    assert Path(site.file).read_text() == SPEC


def test_nothing_is_begun_on_what_is_nothing_to_run_on(site: Site) -> None:
    with pytest.raises(UsageError, match="`pol` is nothing to run on") as raised:
        run(site.loaded(), site.milvus, "docs", "words@1", on="pol")
    assert "serial, pool, ray" in raised.value.hint
    assert operation_for(site.loaded(), "docs") is None
    assert not site.milvus.has_collection("docs_v2")


# --- what may not slip through


def test_vectors_of_another_model_under_the_right_label_are_no_cutover(site: Site) -> None:
    copied(site)
    rows = site.milvus.rows("docs_v2")
    wrong = list(rows)[:2]
    for key in wrong:
        rows[key]["embedding"] = list(reversed(rows[key]["embedding"]))
    report = cutover(site.loaded(), site.milvus, "docs")
    assert report.exit_code == 2
    assert {name for name, v in verdicts(report).items() if v is Verdict.FAIL} == {"vectors"}
    gate = next(g for g in report.operation.gates if g.name == "vectors")
    assert all(key in gate.reason for key in wrong)
    assert site.milvus.alias_owner("docs") == "docs_v1"


def test_golden_queries_of_other_documents_prove_nothing(site: Site) -> None:
    site.folder.joinpath("golden.yaml").write_text(
        "version: 1\nqueries:\n  - {query: kites, relevant: [moved/kites.md]}\n"
    )
    copied(site)
    report = cutover(site.loaded(), site.milvus, "docs")
    assert report.exit_code == 3
    assert verdicts(report)["hits"] is Verdict.INCONCLUSIVE
    assert site.milvus.alias_owner("docs") == "docs_v1"


def test_a_cutover_that_was_killed_before_the_alias_moved_asks_the_gates_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(site)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cutovers, "move_aliases", killed)
        with pytest.raises(KeyboardInterrupt):
            cutover(site.loaded(), site.milvus, "docs")
    found = operation_for(site.loaded(), "docs")
    assert found is not None
    assert found.state == SWITCHING
    rows = site.milvus.rows("docs_v1")
    rows["stranger"] = {**rows[next(iter(rows))], "id": "stranger"}
    site.milvus.partition["docs_v1", "stranger"] = "_default"
    assert cutover(site.loaded(), site.milvus, "docs").exit_code == 0
    assert "stranger" in site.milvus.rows("docs_v2")

    rollback(site.loaded(), site.milvus, "docs")
    with monkeypatch.context() as patched:
        patched.setattr(cutovers, "move_aliases", killed)
        with pytest.raises(KeyboardInterrupt):
            cutover(site.loaded(), site.milvus, "docs")
    site.edit("hits_lost: 1.0", "hits_lost: 1.0, overlap: 1.0")
    assert cutover(site.loaded(), site.milvus, "docs").exit_code == 2
    assert site.ingest().collection == "docs_v1"  # clients and ingestion are where they were


@pytest.mark.parametrize("how", ["finished", "given up"])
def test_resolve_believes_the_spec_once_a_re_embedding_has_ended(site: Site, how: str) -> None:
    if how == "finished":
        switched(site)
        site.follow_cutover()
        finish(site.loaded(), site.milvus, "docs", now=now_ms() + HOUR)
        site.edit("    model: words@1", "    model: chars@1")
        other = "chars@1"
    else:
        copied(site)
        rollback(site.loaded(), site.milvus, "docs")
        site.edit("    model: chars@1", "    model: words@1")
        other = TO
    name = site.loaded().spec.collections[0].name
    found = resolve("docs", spec=site.loaded(), milvus=site.milvus)
    assert (found.collection, found.model, found.source) == (name, other, "spec")
