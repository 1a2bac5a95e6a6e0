"""What the verbs print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kitestring.cli import cli, run
from kitestring.clients.milvus import connect
from kitestring.reembed import gates
from tests.unit.reembed.conftest import Site
from tests.unit.reembed.store import RowsMilvus


@pytest.fixture
def verb(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Calls `kitestring reembed …` on the site's server; gives exit code, stdout and stderr."""

    @contextmanager
    def to_memory(_: object) -> Iterator[RowsMilvus]:
        yield site.milvus

    monkeypatch.setattr(connect, "connect", to_memory)

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(cli, ["reembed", words[0], "--spec", str(site.file), *words[1:]], "kitestring")
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


DOCS = ("--collection", "docs")


def test_the_verbs_in_their_order(site: Site, verb) -> None:  # type: ignore[no-untyped-def]
    assert verb("status") == (0, "no re-embedding\n", "")
    code, out, _ = verb("plan", *DOCS, "--to", "words@1")
    assert code == 0
    assert out.startswith("docs_v1 -> docs_v2: chars@1 (32 dimensions) -> words@1 (48)\n")
    assert verb("run", *DOCS)[0] == 64
    code, out, err = verb("run", *DOCS, "--to", "words@1")
    assert code == 0
    assert ": ready\n" in out
    assert "rows embedded and written, 0 removed" in err
    code, out, _ = verb("cutover", *DOCS)
    assert code == 0
    assert re.search(r"docs: docs_v1 -> docs_v2 \(words@1\) in ", out)
    assert "name: docs_v1 -> name: docs_v2" in out
    code, out, _ = verb("rollback", *DOCS)
    assert code == 0
    assert re.search(r"docs: docs_v2 -> docs_v1 \(chars@1\) in ", out)
    assert verb("cutover", *DOCS, "--output", "json")[0] == 0
    site.follow_cutover()
    code, out, err = verb("finish", *DOCS)
    assert (code, out) == (1, "")
    assert "is kept until" in err
    site.edit("retention: 1h", "retention: 1ms")
    code, out, _ = verb("finish", *DOCS)
    assert code == 0
    assert re.fullmatch(r"docs_v1 is dropped: \d+ rows proven to be in docs_v2\n", out)


def test_a_missed_gate_is_exit_code_2_and_says_what_to_do(  # type: ignore[no-untyped-def]
    site: Site, verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.edit("latency: 1000", "latency: 2")
    monkeypatch.setattr(gates, "medians", lambda *_: (0.010, 0.030))
    assert verb("run", *DOCS, "--to", "words@1")[0] == 0
    code, out, _ = verb("cutover", *DOCS)
    assert code == 2
    assert "latency  MISSED  30.0 ms; old 10.0 ms (wanted: at most 2 times the old one)" in out
    assert "no cutover: a gate was not met; clients stay on docs_v1" in out
    assert "next: not met: latency. Take another model" in verb("status")[1]
    code, out, _ = verb("cutover", *DOCS, "--output", "json")
    assert (code, json.loads(out)["exit_code"]) == (2, 2)


def test_what_can_not_work_is_exit_code_1(site: Site, verb) -> None:  # type: ignore[no-untyped-def]
    site.edit("    aliases: [docs]\n", "")
    code, out, _ = verb("plan", "--collection", "docs_v1", "--to", "words@1")
    assert code == 1
    assert "refused: `docs_v1` has no alias" in out
    code, out, err = verb("plan", "--collection", "docs_v1", "--to", "wrods@1")
    assert (code, out) == (1, "")
    assert "`models` has no `wrods@1`" in err
