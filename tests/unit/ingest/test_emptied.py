"""Documents that are gone with their whole folder may only be away: they stay until told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.ingest.documents import find_documents
from kitestring.ingest.emptied import emptied
from kitestring.ingest.run import ingest
from kitestring.model.ingest import EmptiedFolder
from kitestring.render.ingest import ingest_notes, pass_line
from tests.unit.reembed.conftest import Site

DOCUMENTS = ("a.md", "b.md", "mount/c.md", "mount/deep/d.md", "few/e.md", "few/f.md", "one/g.md")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    for name in DOCUMENTS:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"This is the document {name}. It has two sentences.")
    return folder


def unmount(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize(
    ("change", "folder", "documents"),
    [
        (lambda c: unmount(c / "mount"), "mount", ("mount/c.md", "mount/deep/d.md")),
        (lambda c: unmount(c / "one"), None, ()),  # its only document
        (lambda c: shutil.rmtree(c / "few"), None, ()),  # gone with its folder, 2 of 7
        (lambda c: (c / "a.md").unlink(), None, ()),
        (lambda c: [(c / name).unlink() for name in DOCUMENTS[4:6]], "few", DOCUMENTS[4:6]),
        (lambda c: unmount(c), "", tuple(sorted(DOCUMENTS))),
    ],
)
def test_a_folder_emptied_at_once(
    corpus: Path, change: Callable[[Path], Any], folder: str | None, documents: tuple[str, ...]
) -> None:
    known = {source.doc_id for source in find_documents([corpus]).sources}
    change(corpus)
    found = find_documents([corpus], allow_empty=True)
    gone = known - {source.doc_id for source in found.sources}
    assert gone
    seen = emptied(found, gone, dict.fromkeys(known, str(corpus)))
    if folder is None:
        assert seen == ()
    else:
        assert [(e.folder, e.documents) for e in seen] == [(corpus / folder, documents)]


def test_a_folder_that_vanishes_with_most_documents(corpus: Path) -> None:
    known = dict.fromkeys(DOCUMENTS, str(corpus))
    for name in ("a.md", "few/e.md", "one/g.md"):
        (corpus / name).unlink()
        del known[name]
    shutil.rmtree(corpus / "mount")
    (corpus / "few/f.md").rename(corpus / "f.md")  # 2 of 4 are not most; of 3 they are
    del known["few/f.md"]
    found = find_documents([corpus])
    missing = ["mount/c.md", "mount/deep/d.md"]
    assert emptied(found, missing, known) == ()
    (corpus / "f.md").unlink()
    (seen,) = emptied(find_documents([corpus]), missing, known)
    assert (seen.folder, seen.documents) == (corpus / "mount", tuple(missing))


def test_a_folder_with_other_files_is_not_away(corpus: Path) -> None:
    for name in ("mount/c.md", "mount/deep/d.md"):
        (corpus / name).unlink()
    (corpus / "mount/photo.jpg").write_bytes(b"")
    found = find_documents([corpus])
    gone = ["mount/c.md", "mount/deep/d.md"]
    assert emptied(found, gone, dict.fromkeys(DOCUMENTS, str(corpus))) == ()


def test_rows_of_an_unmounted_folder_stay_until_told(tmp_path: Path) -> None:
    site = Site(tmp_path)
    mounted = site.corpus / "mounted"
    mounted.mkdir()
    for n in range(3):
        (mounted / f"{n}.md").write_text(f"Here is the document {n}. It lies on a volume.")

    def run(**options: Any) -> Any:
        return ingest(site.loaded(), site.milvus, "docs", [site.corpus], **options)

    run()
    before = site.texts("docs_v1")
    unmount(mounted)
    report = run()
    assert (report.exit_code, report.documents_removed, report.rows_deleted) == (3, 0, 0)
    assert report.emptied == (EmptiedFolder(str(mounted), 3),)
    assert any("--remove-emptied" in line for line in ingest_notes(report))
    assert f"3 kept of the emptied {mounted}" in pass_line(report)
    assert site.texts("docs_v1") == before

    told = run(remove_emptied=True)
    assert (told.exit_code, told.documents_removed, told.emptied) == (0, 3, ())
    assert len(site.texts("docs_v1")) == len(before) - told.rows_deleted < len(before)
    assert run().exit_code == 0
