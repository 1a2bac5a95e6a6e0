"""Ingesters with ledgers of their own see each other in a store that both reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kitestring.clients.milvus.waiting import wait_until
from kitestring.clients.store import lock
from kitestring.errors import LedgerBusy
from kitestring.ingest import shared_lease
from kitestring.ingest.ledger import Ledger, open_ledger
from kitestring.spec.load import load


def ledger_of(folder: Path, machine: str, *, shared: bool = True) -> Ledger:
    file = folder / machine / "cluster.yaml"
    file.parent.mkdir()
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"uri": "http://127.0.0.1:1"},
        "state": "state",
        "ingest": {"lease": {"type": "local", "path": str(folder / "shared")}} if shared else {},
    }
    file.write_text(yaml.safe_dump(document))
    return open_ledger(load(file))


def test_one_ingestion_at_a_time_on_two_machines(tmp_path: Path) -> None:
    file = tmp_path / "shared/leases/test/docs.json"
    waited: list[str] = []
    with ledger_of(tmp_path, "one") as one, ledger_of(tmp_path, "two") as two:
        with one.run("docs"):
            assert file.exists()
            with pytest.raises(LedgerBusy, match="into `docs` runs already"), two.run("docs"):
                pass
            with two.run("others"):  # another collection is free
                pass

            def release(line: str) -> None:
                waited.append(line)
                file.unlink()  # as the other one does at its end

            with two.run("docs", wait=60, waiting=release) as run:
                two.verified(run)
        assert len(waited) == 1
        assert not file.exists()
        with two.run("docs"), one.run("others"):
            pass


def test_without_a_shared_lease_each_ledger_has_its_own(tmp_path: Path) -> None:
    with (
        ledger_of(tmp_path, "one", shared=False) as one,
        ledger_of(tmp_path, "two", shared=False) as two,
        one.run("docs"),
        two.run("docs"),
    ):
        assert not (tmp_path / "shared").exists()


def test_who_was_taken_for_dead_writes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_RENEW", 0.0)
    monkeypatch.setattr(shared_lease, "_BEAT", 0.01)
    file = tmp_path / "shared/leases/test/docs.json"
    with ledger_of(tmp_path, "one") as one, one.run("docs") as run:
        one.verified(run)
        other = json.dumps(json.loads(file.read_text()) | {"token": "another's"})

        def taken_over() -> bool:
            file.write_text(other)  # a sign of life may have been under way
            return one._shared is not None and bool(one._shared._lost)

        wait_until(taken_over, timeout=60, what="the loss of the lease")
        with pytest.raises(LedgerBusy, match="taken over"):
            one.verified(run)
    assert json.loads(file.read_text())["token"] == "another's"
