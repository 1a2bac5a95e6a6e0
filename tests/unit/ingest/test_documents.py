from __future__ import annotations

import os
from pathlib import Path

import pytest

from kitestring.errors import ExtractFailed, IngestError
from kitestring.ingest.documents import find_documents


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    for name in ("b.md", "sub/a.txt", "sub/deep/c.rst", ".hidden.md", ".git/x.md", "logo.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def ids(*paths: Path, root: Path | None = None) -> list[str]:
    return [source.doc_id for source in find_documents(paths, root=root).sources]


def test_ids_are_paths_below_the_directory_given(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ["b.md", "sub/a.txt", "sub/deep/c.rst"]
    assert ids(corpus) == expected
    monkeypatch.chdir(corpus.parent)
    assert ids(Path("corpus")) == expected
    monkeypatch.chdir(corpus / "sub")
    assert ids(Path("..")) == expected
    assert ids(Path("a.txt")) == ["a.txt"]
    assert ids(Path("a.txt"), root=corpus) == ["sub/a.txt"]


def test_unknown_types_are_skipped_in_directories_and_refused_by_name(corpus: Path) -> None:
    found = find_documents([corpus])
    assert [(path.name, why) for path, why in found.skipped] == [
        ("logo.png", "no extractor for `.png`")
    ]
    with pytest.raises(ExtractFailed, match=r"logo\.png"):
        find_documents([corpus / "logo.png"])


def test_two_files_for_one_document_are_refused(corpus: Path) -> None:
    other = corpus.parent / "other"
    other.mkdir()
    (other / "b.md").write_text("other")
    with pytest.raises(IngestError, match=r"`b\.md`"):
        find_documents([corpus, other])
    assert ids(corpus, corpus / "b.md") == ids(corpus)


def test_what_is_not_there_is_named(corpus: Path) -> None:
    with pytest.raises(IngestError, match="nowhere is not there"):
        find_documents([corpus, corpus / "nowhere"])
    empty = corpus.parent / "empty"
    empty.mkdir()
    with pytest.raises(IngestError, match="no documents in"):
        find_documents([empty])
    with pytest.raises(IngestError, match="not below"):
        find_documents([corpus], root=empty)


def test_links_to_directories_are_not_followed(corpus: Path) -> None:
    (corpus / "loop").symlink_to(corpus, target_is_directory=True)
    (corpus / "link.md").symlink_to(corpus / "b.md")
    assert ids(corpus) == ["b.md", "link.md", "sub/a.txt", "sub/deep/c.rst"]


def test_a_pipe_or_a_device_is_no_document_and_blocks_nobody(corpus: Path) -> None:
    os.mkfifo(corpus / "pipe")
    for name, target in (("p.txt", corpus / "pipe"), ("z.txt", Path("/dev/zero"))):
        (corpus / name).symlink_to(target)
    sources = {source.doc_id: source for source in find_documents([corpus]).sources}
    for name in ("p.txt", "z.txt"):
        with pytest.raises(OSError, match="no regular file"):
            sources[name].read()
    assert sources["b.md"].read() == b"b.md"


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"corp\xffus")
    folder.mkdir()
    (folder / "a.txt").write_text("words")
    for paths, root in (([folder], None), ([folder / "a.txt"], None), ([folder / "a.txt"], folder)):
        with pytest.raises(IngestError, match="not UTF-8"):
            find_documents(paths, root=root)
