"""Who is told: a mail server and a webhook on loopback, and a command."""

from __future__ import annotations

import json
import ssl

import pytest

from kitestring.enforce.notify import Message, notify, tell
from kitestring.errors import NotifyFailed, SpecInvalid, UsageError
from kitestring.manifests.base import CertificatePlan
from kitestring.provision.certificates import certificates
from tests.hearing import http_server, smtp_server

MAIL = {"to": ["ops@example.com", "dba@example.com"], "sender": "kitestring@example.com"}
MESSAGE = Message("backup of test\nended", "line\n.dot\nünïcode", {"task": "backup"})


@pytest.fixture
def spec(spec_from):
    storage = "storage: {type: local, path: milvus}"

    def make(**day2):
        return spec_from((storage, f"{storage}\nday2: {json.dumps(day2)}"))

    return make


def test_all_who_are_named_are_told(spec, tmp_path):
    with smtp_server() as box, http_server() as posted:
        mail = {**MAIL, "host": "127.0.0.1", "port": box.port}
        command = ["sh", "-c", 'cat >told; echo "$KITESTRING_TASK" >>told']
        loaded = spec(mail=mail, webhook={"url": posted.url}, notify=command)
        assert tell(loaded, MESSAGE) == {}
    (message,) = box.messages
    assert (message["Subject"], message["To"]) == ("backup of test ended", ", ".join(MAIL["to"]))
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_payload(decode=True).decode().splitlines() == ["line", ".dot", "ünïcode"]
    assert box.recipients == MAIL["to"]
    (document,) = posted.documents
    assert document["text"] == f"{MESSAGE.subject}\n{MESSAGE.text}"
    assert document["task"] == "backup"
    said = (tmp_path / "told").read_text()
    assert said == f"{MESSAGE.subject}\n{MESSAGE.text}\nbackup\n"


def test_a_password_goes_over_an_encrypted_connection(spec, tmp_path, monkeypatch):
    made = certificates(CertificatePlan(("localhost",)))
    (tmp_path / "ca.pem").write_text(made.ca_cert)
    (tmp_path / "server.pem").write_text(made.cert + made.key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    monkeypatch.setenv("SMTP_PASSWORD", "right")
    with smtp_server(server) as box:
        mail = {**MAIL, "host": "localhost", "port": box.port, "security": "starttls"}
        login = {"user": "u", "password": {"env": "SMTP_PASSWORD"}}
        loaded = spec(mail={**mail, **login})
        unknown = tell(loaded, MESSAGE)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert tell(loaded, MESSAGE) == {}
        monkeypatch.setenv("SMTP_PASSWORD", "wrong")
        refused = tell(loaded, MESSAGE)
    assert "certificate verify failed" in unknown["day2.mail"]
    assert "535" in refused["day2.mail"]
    assert box.logins == ["\0u\0right", "\0u\0wrong"]
    assert box.encrypted == [True]


def test_one_that_can_not_be_told_is_named_and_stops_no_other(spec, monkeypatch):
    monkeypatch.setenv("HOOK", "no-url-but-a-secret")
    with smtp_server(refused="dba") as box, http_server(500) as posted:
        mail = {**MAIL, "host": "127.0.0.1", "port": box.port}
        loaded = spec(mail=mail, webhook={"url": posted.url}, notify=["true"])
        with pytest.raises(NotifyFailed) as failed:
            notify(loaded, "s", "t")
        assert "`day2.mail` could not be told" in failed.value.message
        assert "does not deliver to dba@example.com" in failed.value.message
        assert "HTTP Error 500" in failed.value.message
        assert failed.value.hint == "the others were told"
        assert box.recipients == ["ops@example.com"]
        secret = spec(mail=mail, webhook={"secret_url": {"env": "HOOK"}})
        assert "no-url-but-a-secret" not in tell(secret, MESSAGE)["day2.webhook"]
        before = len(box.messages)
        assert notify(loaded, "s", "t", dry_run=True) == [
            "day2.notify", "day2.mail", "day2.webhook"
        ]  # fmt: skip
        assert len(box.messages) == before
    assert "did not take the message" in tell(spec(mail=mail), MESSAGE)["day2.mail"]
    with pytest.raises(UsageError, match="names nobody"):
        notify(spec(), "s", "t")


@pytest.mark.parametrize(
    ("day2", "said"),
    [
        ({"mail": {**MAIL, "to": ["ops"]}}, "an address such as ops@example.com"),
        ({"mail": {**MAIL, "user": "u"}}, "`user` and `password` go together"),
        (
            {
                "mail": {
                    **MAIL,
                    "host": "mx.example.com",
                    "security": "none",
                    "user": "u",
                    "password": {"env": "P"},
                }
            },
            "a password is not sent without `security`",
        ),
        ({"webhook": {}}, "name either `url` or `secret_url`"),
    ],
)
def test_what_is_wrong_in_the_spec_is_said(spec, day2, said):
    with pytest.raises(SpecInvalid, match=said):
        spec(**day2)
