"""A corpus that changes after it was ingested into a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kitestring.clients.milvus.client import MilvusServer
from kitestring.drift import detect
from kitestring.ingest.run import ingest
from kitestring.model.corpus import CorpusSeen
from kitestring.model.tally import Tally
from kitestring.spec.loaded import LoadedSpec
from tests.integration.report_schema import published

pytestmark = pytest.mark.server
SpecFor = Callable[..., LoadedSpec]


def test_documents_are_told_that_are_new_changed_or_gone(
    spec_for: SpecFor, milvus: MilvusServer, unique: Callable[[str], str], tmp_path: Path
) -> None:
    texts = tmp_path / "texts"
    (texts / "more").mkdir(parents=True)
    for name in ("a.md", "b.md", "more/c.md"):
        (texts / name).write_text(f"# {name}\n\nA kite is a bird of prey. {name} says so.\n")
    corpus = {"path": str(texts), "tenant": "one"}
    loaded = spec_for({"name": unique("c"), "corpus": corpus})
    name = loaded.spec.collections[0].name

    def seen(code: int) -> CorpusSeen:
        report = published(detect(loaded, only=["corpus"]))
        assert report.exit_code == code, report.findings
        found = report.snapshot.collections[name].corpus
        assert found is not None
        return found

    milvus_rows = ingest(loaded, milvus, name, [texts], tenant="one").rows
    assert milvus_rows
    assert (seen(0).documents, seen(0).problem) == (3, "")

    (texts / "a.md").write_text("# a.md\n\nAnother text.\n")
    (texts / "b.md").unlink()
    (texts / "d.md").write_text("# d.md\n\nA new one.\n")
    found = seen(2)
    assert found.new == Tally(1, ("d.md",))
    assert found.changed == Tally(1, ("a.md",))
    assert found.gone == Tally(1, ("b.md",))
    ingest(loaded, milvus, name, [texts], tenant="one", prune=True)
    seen(0)

    texts.rename(tmp_path / "moved")
    assert "is not there" in seen(3).problem
