"""Plays that look and tell: drift with its report and webhook, and whether an upgrade is safe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kitestring.backup.create import create_backup
from kitestring.clients.milvus.connect import connect
from tests.ansible.conftest import PlayFor
from tests.hearing import Mailbox, Posted, http_server, smtp_server

DRIFT = "playbooks/drift.yml"


@pytest.fixture
def webhook() -> Iterator[Posted]:
    with http_server() as posted:
        yield posted


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as box:
        yield box


@pytest.fixture
def cluster(spec_for: Any, unique: Any, filled: Any, mailbox: Mailbox, webhook: Posted) -> Any:
    """A cluster that is as its spec says, with a backup; without a ledger and a drill."""
    mail = {"to": ["ops@example.com"], "sender": "kitestring@example.com", "port": mailbox.port}
    told = {"mail": {**mail, "host": "127.0.0.1"}, "webhook": {"url": webhook.url}}
    loaded = spec_for({"name": unique()}, day2=told)
    filled(loaded)
    with connect(loaded) as milvus:
        create_backup(loaded, milvus)
    return loaded


def test_drift_is_reported_posted_mailed_and_fails(
    cluster: Any, milvus: Any, play: PlayFor, webhook: Posted, mailbox: Mailbox
) -> None:
    url, posted = webhook.url, webhook.documents
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

    page.unlink()
    milvus.release(cluster.spec.collections[0].name)
    foretold = play(DRIFT, cluster.file, "--check", variables=variables)
    assert foretold.code == 2
    assert posted == []
    assert not page.exists()
    found = play(DRIFT, cluster.file, variables=variables)
    assert found.code == 2, found.output
    assert found.failed_task() == "Fail on what was found"
    (told,) = posted
    assert told["verdict"] == "fail"
    assert [f["check"] for f in told["findings"]] == ["load.state"]
    assert "load.state" in page.read_text()
    assert mailbox.messages == []

    # whom the spec names, beside the URL of the play
    told = json.dumps({"drift_fail": False, "drift_notify": True})
    only_told = play(DRIFT, cluster.file, variables=[*variables, told])
    assert only_told.code == 0, only_told.output
    assert only_told.changed == 0
    assert [sorted(document) for document in posted[1:]] == [
        ["findings", "spec", "text", "verdict"], ["cluster", "schema_version", "subject", "text"]
    ]  # fmt: skip
    # a URL that lets anybody post is never shown, neither where it can't be told
    deaf = "http://127.0.0.1:1/secret-of-the-hook"
    untold = play(DRIFT, cluster.file, "-vvv", variables=[*variables, f"drift_webhook={deaf}"])
    assert untold.code == 2
    assert untold.failed_task() == "Fail when the webhook was not told", untold.output
    assert "Connection refused" in untold.output
    assert "secret-of-the-hook" not in untold.output
    (message,) = mailbox.messages
    assert message["Subject"] == "kitestring drift: fail on localhost"
    assert cluster.spec.collections[0].name in message.get_payload()


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
