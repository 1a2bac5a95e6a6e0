"""A node that somebody had a hand in, on a server that asks for passwords: the next run corrects
exactly that; and rows of another model stop it before anything is changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.backup.catalog import open_catalog
from kitestring.clients.milvus.client import MilvusServer
from kitestring.model.access import Privilege
from kitestring.spec.load import load
from tests.ansible.conftest import INDEX, MODEL, ROOT_TOKEN, Play, PlayFor

DAY2 = "playbooks/day2.yml"
SECRETS = {"KS_TOKEN": ROOT_TOKEN, "SHOP_PASSWORD": "password-of-the-shop"}
RECONCILE = "Bring collections, indexes, load state and aliases back to the spec"
CRON = "Keep the cron entry of the backup"
WIDE = Privilege("Global", "*", "DropCollection")


@pytest.fixture
def spec(guarded: Path, tmp_path: Path) -> Path:
    file = tmp_path / "node.yaml"
    collection = {
        "name": "wares",
        "model": f"{MODEL['name']}@{MODEL['version']}",
        "indexes": [dict(INDEX)],
        "aliases": ["shop_window"],
    }
    grants = [{"object": "Collection", "name": "wares", "privileges": ["Search"]}]
    user = {"name": "shop", "password": {"env": "SHOP_PASSWORD"}, "roles": ["searcher"]}
    document = {
        **yaml.safe_load(guarded.read_text()),
        "models": [dict(MODEL)],
        "collections": [collection],
        "access": {"roles": [{"name": "searcher", "grants": grants}], "users": [user]},
        "storage": {"type": "local", "path": str(guarded.parent / "milvus" / "data")},
        "backup": {"store": {"type": "local", "path": "backups"}},
        "objectives": {"rpo": "24h", "rto": "10m"},
        "day2": {
            "backup": {"at": "01:30"},
            "compaction": {"max_segments": 20, "max_deleted_ratio": 0.9},
        },
    }
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


@pytest.fixture
def server(spec: Path) -> Iterator[MilvusServer]:
    uri = yaml.safe_load(spec.read_text())["connection"]["uri"]
    with MilvusServer(uri, token=ROOT_TOKEN, timeout=20) as milvus:
        yield milvus
        for alias in ("shop_window",):
            if milvus.alias_owner(alias):
                milvus.drop_alias(alias)
        for name in ("wares", "older"):
            if milvus.has_collection(name):
                milvus.drop_collection(name)


def test_it_is_corrected_and_nothing_else(
    play: PlayFor, spec: Path, server: MilvusServer, rows: Any, table: Path
) -> None:
    def day2(*flags: str, code: int = 0) -> Play:
        secrets = [json.dumps({"kitestring_secrets": SECRETS})]
        done = play(DAY2, spec, "--diff", *flags, variables=secrets)
        assert done.code == code, done.output
        assert not [secret for secret in SECRETS.values() if secret in done.output]
        return done

    assert RECONCILE in day2().changed_tasks()
    written = table.read_text()
    assert len(open_catalog(load(spec)).summaries()) == 1
    server.upsert("wares", rows(60))
    server.flush("wares")

    server.create_collection("older", server.describe("wares").schema)
    server.move_alias("older", "shop_window")
    server.release("wares")
    server.drop_index("wares", "embedding")
    server.admin.grant("searcher", WIDE)
    table.write_text(written.replace("30 1 *", "30 4 *"))

    foretold = day2("--check")
    assert foretold.changed_tasks() == [RECONCILE, CRON]
    assert WIDE in server.admin.privileges("searcher")
    assert not server.describe("wares").loaded
    done = day2()
    assert done.changed_tasks() == [RECONCILE, CRON]
    for run in (foretold, done):
        told = re.findall(r"^([-+]guarded/[^:]*): (.*)$", run.output, re.M)
        assert [part for part, _ in told] == [
            f"{sign}guarded/{what}"
            for sign in "-+"
            for what in (
                "wares/index/embedding",
                "wares",
                "wares/alias/shop_window",
                "access/grant/searcher",
            )
        ]
        before, after = dict(told[:4]), dict(told[4:])
        assert before["-guarded/wares/index/embedding"] == "absent"
        assert after["+guarded/wares/index/embedding"].startswith("HNSW COSINE ")
        assert before["-guarded/wares"] == "not loaded"
        assert before["-guarded/wares/alias/shop_window"] == "older"
        assert after["+guarded/wares/alias/shop_window"] == "wares"
        assert "DropCollection" in before["-guarded/access/grant/searcher"]
        assert "DropCollection" not in after["+guarded/access/grant/searcher"]
        assert re.search(r"^-30 4 \* \* \* ", run.output, re.M)
        assert re.search(r"^\+30 1 \* \* \* ", run.output, re.M)
    assert server.describe("wares").loaded
    assert server.alias_owner("shop_window") == "wares"
    assert {p.privilege for p in server.admin.privileges("searcher")} == {"Search"}
    assert table.read_text() == written
    assert day2().changed == 0

    server.upsert("wares", rows(5, model="other-model@9"))
    server.drop_alias("shop_window")
    table.write_text("")
    stopped = day2(code=2)
    assert stopped.failed_task() == "Check which embedding model made the stored rows"
    assert "embedding.model-mismatch" in stopped.output
    assert stopped.changed == 0
    assert server.alias_owner("shop_window") is None
    assert table.read_text() == ""
    assert len(open_catalog(load(spec)).summaries()) == 1
