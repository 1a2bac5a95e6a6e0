"""A small valid spec, and what is said about a spec with faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kitestring.errors import SpecInvalid
from kitestring.spec.load import load

GOOD = """\
version: 1
cluster: {name: test}
connection: {embedded: ./milvus}
state: ./state
models:
  - {provider: hashing, name: words, version: "1", dimension: 64}
collections:
  - name: docs
    model: words@1
    indexes:
      - {field: embedding, type: HNSW, metric: COSINE}
"""

Errors = Callable[..., list[str]]


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a text to a file and returns its path."""

    def write(text: str) -> Path:
        file = tmp_path / "cluster.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def errors(spec_file: Callable[[str], Path]) -> Errors:
    """The errors of a text, one by one, with `F` in place of the file's path."""

    def errors_of(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        file = spec_file(text)
        with pytest.raises(SpecInvalid) as caught:
            load(file, environ or {})
        assert caught.value.exit_code == 1
        assert all(p["text"] in caught.value.message for p in caught.value.problems)
        return [str(p["text"]).replace(str(file), "F") for p in caught.value.problems]

    return errors_of


@pytest.fixture
def good() -> str:
    """A valid spec."""
    return GOOD
