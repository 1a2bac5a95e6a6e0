"""The password of root, against a server that knows one password."""

from __future__ import annotations

import pytest

from kitestring.clients.milvus.way import Way
from kitestring.errors import AuthenticationFailed, ProvisionError, ServerUnreachable
from kitestring.provision import root_password
from kitestring.provision.root_password import ensure_root_password, is_root_password

WAY = Way(uri="http://milvus.test:19530")
NEW = "0123456789abcdefghijABCDEFGHIJ"


class Server:
    """Has one password of root; `obstinate` servers say yes and keep the old one."""

    def __init__(self, password: str | None, *, obstinate: bool = False) -> None:
        self.password = password  # None: takes any
        self.obstinate = obstinate
        self.open = 0

    def open_way(self, way: Way, *, token: str) -> Server:
        assert way == WAY
        user, _, given = token.partition(":")
        assert user == "root"
        if self.password is not None and given != self.password:
            raise AuthenticationFailed("wrong password")
        self.open += 1
        return self

    @property
    def admin(self) -> Server:
        return self

    def change_password(self, user: str, old: str, new: str) -> None:
        assert (user, old) == ("root", self.password)
        if not self.obstinate:
            self.password = new

    def close(self) -> None:
        self.open -= 1


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def use(server: Server) -> Server:
        monkeypatch.setattr(root_password, "open_way", server.open_way)
        return server

    return use


def test_the_default_is_changed_once_and_then_kept(serve) -> None:  # type: ignore[no-untyped-def]
    server = serve(Server("Milvus"))
    assert not is_root_password(WAY, NEW)
    assert ensure_root_password(WAY, NEW) == "changed"
    assert server.password == NEW
    assert ensure_root_password(WAY, NEW) == "kept"
    assert is_root_password(WAY, NEW)
    assert server.open == 0, "a connection was left open"


def test_a_third_password_is_left_alone(serve) -> None:  # type: ignore[no-untyped-def]
    server = serve(Server("somebody's own"))
    with pytest.raises(ProvisionError, match="neither") as error:
        ensure_root_password(WAY, NEW)
    assert NEW not in str(error.value)
    assert server.password == "somebody's own"


def test_a_server_without_authentication_is_an_error(serve) -> None:  # type: ignore[no-untyped-def]
    serve(Server(None))
    with pytest.raises(ProvisionError, match="authentication is off"):
        ensure_root_password(WAY, NEW)


def test_a_change_that_did_not_happen_is_an_error(serve) -> None:  # type: ignore[no-untyped-def]
    serve(Server("Milvus", obstinate=True))
    with pytest.raises(ProvisionError, match="did not"):
        ensure_root_password(WAY, NEW)


def test_the_default_password_is_never_set(serve) -> None:  # type: ignore[no-untyped-def]
    serve(Server("Milvus"))
    with pytest.raises(ProvisionError, match="default"):
        ensure_root_password(WAY, "Milvus")


def test_a_server_that_is_down_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(way: Way, *, token: str) -> Server:
        raise ServerUnreachable("nobody answers")

    monkeypatch.setattr(root_password, "open_way", down)
    with pytest.raises(ServerUnreachable):
        ensure_root_password(WAY, NEW)
