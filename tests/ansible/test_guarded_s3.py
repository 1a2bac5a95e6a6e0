"""Compaction, backup and quarantine on a server that asks for a password and keeps its segments in
a bucket: each foretold, done, and done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kitestring.clients.milvus.client import MilvusServer
from tests.ansible.conftest import INDEX, MODEL, ROOT_TOKEN, SETTINGS, Play, PlayFor
from tests.ansible.test_objects import ROUNDS, playbook
from tests.remote_storage import remote_storage

pytestmark = pytest.mark.server
LABEL = f"{MODEL['name']}@{MODEL['version']}"
SECRETS = {"KS_TOKEN": ROOT_TOKEN, "KS_USER": "user", "KS_SECRET": "a-secret"}
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("milvus_embedding_quarantine", {}),
    ("milvus_compaction", {}),
    ("milvus_backup", {}),
]


@pytest.fixture
def spec(tmp_path: Path, moto: str, s3_client: Any) -> Iterator[Path]:
    from kitestring.local import running

    s3_client.create_bucket(Bucket="segments")
    s3_client.create_bucket(Bucket="backups")
    bucket = {
        "type": "s3",
        "endpoint_url": moto,
        "access_key": {"env": "KS_USER"},
        "secret_key": {"env": "KS_SECRET"},
    }
    settings = {**SETTINGS, **remote_storage(moto, "segments", "files")}
    folder = tmp_path / "milvus"
    with running(
        folder, timeout=120, authorization=True, remove=True, extra_config=settings
    ) as state:
        file = tmp_path / "cluster.yaml"
        document = {
            "version": 1,
            "cluster": {"name": "guarded-s3"},
            "connection": {"uri": state.uri, "token": {"env": "KS_TOKEN"}},
            "state": "state",
            "storage": {**bucket, "bucket": "segments", "prefix": "files"},
            "models": [dict(MODEL)],
            "collections": [{"name": "wares", "model": LABEL, "indexes": [dict(INDEX)]}],
            "backup": {"store": {**bucket, "bucket": "backups"}},
            "objectives": {"rpo": "24h", "rto": "10m"},
            "day2": {
                "backup": {"at": "01:30", "verify": "full"},
                "compaction": {"max_segments": 1, "max_deleted_ratio": 0.9},
            },
        }
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        yield file


def test_each_is_foretold_done_and_not_done_again(
    play: PlayFor, spec: Path, rows: Any, tmp_path: Path, s3_client: Any
) -> None:
    def run(tasks: list[dict[str, Any]]) -> Play:
        book = playbook(tmp_path / "day2.yml", tasks)
        (one,) = yaml.safe_load(book.read_text())
        defaults = one["module_defaults"]["group/kitestring.milvus.milvus"]
        defaults["secrets"] = "{{ kitestring_secrets }}"
        book.write_text(yaml.safe_dump([one], sort_keys=False))
        secrets = [json.dumps({"kitestring_secrets": SECRETS})]
        done = play(book, spec, "--diff", variables=secrets)
        assert done.code == 0, done.output
        assert "a-secret" not in done.output
        return done

    run([{"name": "make", "kitestring.milvus.milvus_reconcile": {}}])
    uri = yaml.safe_load(spec.read_text())["connection"]["uri"]
    with MilvusServer(uri, token=ROOT_TOKEN, timeout=20) as milvus:
        for start, label in ((0, LABEL), (50, LABEL), (100, "other@9")):
            milvus.insert("wares", rows(50, start=start, model=label))
            milvus.flush("wares")
        tasks = [
            {"name": f"{module} {what}", f"kitestring.milvus.{module}": options, **more}
            for module, options in CHANGES
            for what, more in ROUNDS
        ]
        done = run(tasks)
        expected = [t["name"] for t in tasks if not t["name"].endswith("again")]
        assert done.changed_tasks() == expected
        assert milvus.count("wares") == 100
        assert len([s for s in milvus.segments("wares") if s.state == "Flushed" and s.rows]) == 1
    kept = s3_client.list_objects_v2(Bucket="backups", Prefix="pool/").get("Contents", [])
    assert kept
    (file,) = (spec.parent / "state" / "quarantine").iterdir()
    assert len(file.read_text().splitlines()) == 50
