from __future__ import annotations

from pathlib import Path

import pytest

from kitestring.demo.corpus import write_corpus
from kitestring.ingest.chunk import chunks
from kitestring.ingest.golden import load_golden
from kitestring.spec.load import load

SPEC = Path(__file__).parents[3] / "infra/clusters/local.yaml"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


def test_the_demo_has_5000_passages(corpus: Path) -> None:
    chunking = load(SPEC, {}).spec.collections[0].chunking
    assert chunking is not None
    count = sum(len(chunks(p.read_text("utf-8"), chunking)) for p in corpus.glob("**/*.md"))
    assert count >= 5000


def test_every_golden_query_has_an_answer_in_the_corpus(corpus: Path) -> None:
    there = {p.relative_to(corpus).as_posix() for p in corpus.glob("**/*.md")}
    golden = load_golden(SPEC.parents[1] / "golden/docs.yaml")
    assert [q.query for q in golden if not there.intersection(q.relevant)] == []


def test_a_module_becomes_headings_and_texts(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    (library / "pkg/tests").mkdir(parents=True)
    (library / "pkg/__init__.py").write_text('"""A package."""\nraise SystemExit("never run")\n')
    (library / "pkg/mod.py").write_text(
        '"""A module."""\n# one\n# two\n# three\n# four\n\nclass Kite(Bird):\n    """Flies."""\n'
        '    def land(self, where, *, soft=True):\n        """Comes down."""\n'
        "    def silent(self): ...\n"
    )
    (library / "pkg/tests/test_mod.py").write_text('"""A test."""\n')
    (library / "broken.py").write_text("def (\n")
    (library / "bare.py").write_text("x = 1\n")
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "quickstart.md").write_text("# Quick\n")
    target = tmp_path / "corpus"
    assert write_corpus(target, library=library, docs=docs) == 3
    assert (target / "python/pkg.md").read_text() == "# pkg\n\nA package.\n"
    assert (target / "python/pkg.mod.md").read_text() == (
        "# pkg.mod\n\nA module.\n\n## pkg.mod.Kite(Bird)\n\nFlies.\n\n"
        "### pkg.mod.Kite.land(self, where, *, soft=True)\n\nComes down.\n\n"
        "## Comments in pkg.mod\n\none\ntwo\nthree\nfour\n"
    )
    assert (target / "kitestring/quickstart.md").read_text() == "# Quick\n"


def test_a_second_call_changes_nothing_and_removes_what_is_gone(tmp_path: Path) -> None:
    library, target = tmp_path / "lib", tmp_path / "corpus"
    library.mkdir()
    for name in ("one", "two"):
        (library / f"{name}.py").write_text(f'"""Module {name}."""\n')
    write_corpus(target, library=library, docs=tmp_path / "none")
    before = (target / "python/one.md").stat().st_mtime_ns
    (library / "two.py").unlink()
    assert write_corpus(target, library=library, docs=tmp_path / "none") == 1
    assert (target / "python/one.md").stat().st_mtime_ns == before
    assert not (target / "python/two.md").exists()
