"""What is set aside, and that nothing is deleted that was not copied."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from kitestring.enforce.quarantine import as_actions, quarantine
from kitestring.enforce.show import quarantine_lines
from kitestring.errors import EnforceError, IngestError


@dataclass
class Server:
    """A collection whose rows of another model are `wrong`."""

    info: object
    wrong: list[dict[str, object]]
    keeps: bool = False  # deletes are acknowledged, and come to nothing
    deleted: list[object] = field(default_factory=list)

    def has_collection(self, name):
        return self.info is not None

    def describe(self, name):
        return self.info

    def count(self, name, *, filter=""):
        assert filter == 'embedding_model != "words@1" and embedding_model != ""'
        return len(self.wrong)

    def scan(self, name, columns, *, filter=""):
        yield pa.RecordBatch.from_pylist([{c: row.get(c) for c in columns} for row in self.wrong])

    def delete(self, name, keys):
        self.deleted += keys
        if not self.keeps:
            self.wrong = [row for row in self.wrong if row["id"] not in keys]

    def get(self, name, keys, columns):
        return [row for row in self.wrong if row["id"] in keys]


@pytest.fixture
def server(clean):
    rows = [{"id": f"k{n}", "text": "t", "embedding_model": "other@1"} for n in range(3)]
    return Server(clean.collections["docs"].info, rows)


def test_a_dry_run_writes_nothing(spec_from, server):
    loaded = spec_from()
    results = quarantine(loaded, server, dry_run=True)
    assert [a.before for a in as_actions(loaded, results)] == ["3 rows of another model"]
    (line,) = quarantine_lines(results, dry_run=True)
    assert line.startswith("docs: 3 rows of another model would be set aside in ")
    assert server.deleted == []
    assert not loaded.state_dir.exists()


def test_once(spec_from, server):
    loaded = spec_from()
    (done,) = quarantine(loaded, server)
    assert done.rows == 3
    assert server.deleted == ["k0", "k1", "k2"]
    assert quarantine(loaded, server)[0].rows == 0
    assert [str(f) for f in (loaded.state_dir / "quarantine").iterdir()] == [done.file]


def test_nothing_is_deleted_where_the_copy_can_not_be_written(spec_from, server):
    loaded = spec_from()
    loaded.state_dir.mkdir()
    (loaded.state_dir / "quarantine").write_text("a file is in the way")
    with pytest.raises(EnforceError, match="nothing was deleted"):
        quarantine(loaded, server)
    assert server.deleted == []


def test_rows_that_do_not_go_are_an_error(spec_from, server):
    server.keeps = True
    with pytest.raises(IngestError, match="3 of 3 rows"):
        quarantine(spec_from(), server)


def test_a_collection_that_is_not_there_is_left(spec_from):
    (left,) = quarantine(spec_from(), Server(None, []))
    assert left.left == "not on the server"
    assert list(quarantine_lines([left], dry_run=False)) == [
        "docs: left as it is: not on the server"
    ]
