"""Plays that look and tell: drift with its report and webhook, and whether an upgrade is safe."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kitestring.backup.create import create_backup
from kitestring.clients.milvus.connect import connect
from tests.ansible.conftest import PlayFor

DRIFT = "playbooks/drift.yml"
Posted = tuple[str, list[dict[str, Any]]]


@pytest.fixture
def webhook() -> Iterator[Posted]:
    """A URL, and the documents that were posted to it."""
    posted: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", posted
    server.shutdown()
    server.server_close()


@pytest.fixture
def cluster(spec_for: Any, unique: Any, filled: Any) -> Any:
    """A cluster that is as its spec says, with a backup; without a ledger and a drill."""
    loaded = spec_for({"name": unique()})
    filled(loaded)
    with connect(loaded) as milvus:
        create_backup(loaded, milvus)
    return loaded


def test_drift_is_reported_posted_and_fails(
    cluster: Any, milvus: Any, play: PlayFor, webhook: Posted
) -> None:
    url, posted = webhook
    page = cluster.state_dir.parent / "drift.html"
    variables = [
        f"drift_webhook={url}",
        f"drift_report={page}",
        json.dumps({"drift_only": ["load", "index.missing", "alias"], "drift_cron": False}),
    ]
    clean = play(DRIFT, cluster.file, variables=variables)
    assert clean.code == 0, clean.output
    assert clean.changed == 0
    assert posted == []
    assert "<html" in page.read_text()

    milvus.release(cluster.spec.collections[0].name)
    foretold = play(DRIFT, cluster.file, "--check", variables=variables)
    assert foretold.code == 2
    assert posted == []
    found = play(DRIFT, cluster.file, variables=variables)
    assert found.code == 2, found.output
    assert found.failed_task() == "Fail on what was found"
    (told,) = posted
    assert told["verdict"] == "fail"
    assert [f["check"] for f in told["findings"]] == ["load.state"]
    assert "load.state" in page.read_text()

    only_told = play(DRIFT, cluster.file, variables=[*variables, '{"drift_fail": false}'])
    assert only_told.code == 0
    assert len(posted) == 2


def test_an_upgrade_is_refused_for_its_path_and_for_what_was_never_drilled(
    cluster: Any, play: PlayFor
) -> None:
    book = "playbooks/upgrade_preflight.yml"
    skips = play(book, cluster.file, variables=["milvus_version=2.6.0"])
    assert skips.code == 2
    assert skips.failed_task() == "Refuse a step that Milvus does not allow", skips.output
    assert "skips a minor version" in skips.output
    wrong = play(book, cluster.file, variables=["milvus_version=newest"])
    assert wrong.code == 2
    assert "such as 2.5.16" in wrong.output
    undrilled = play(book, cluster.file, variables=["milvus_version=2.4.1"])
    assert undrilled.code == 2
    assert undrilled.failed_task() == (
        "Refuse to upgrade what is not as it should be, or could not be told"
    )
    assert "drill" in undrilled.output
