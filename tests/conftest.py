"""What every test may use."""

from __future__ import annotations

import re
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

from tests.order import place

# Whoever starts a command in the background may have it ignore Ctrl-C, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A run is like the one before, however busy the machine is. Others: `--hypothesis-profile random`.
for name, same in (("random", False), ("repeatable", True)):
    hypothesis.settings.register_profile(
        name,
        derandomize=same,
        database=None,
        deadline=None,
        suppress_health_check=[
            hypothesis.HealthCheck.too_slow,
            hypothesis.HealthCheck.function_scoped_fixture,
        ],
    )
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.path))


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes names that no other test uses, valid for collections and aliases."""
    test = re.sub(r"\W+", "_", request.node.name)[:40]

    def make(what: str = "c") -> str:
        return f"{what}_{test}_{uuid.uuid4().hex[:8]}"

    return make


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec named in the developer's environment is not what tests are about."""
    monkeypatch.delenv("KITESTRING_SPEC", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The URL of moto's S3 server, on a free port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3_client(moto: str) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=moto,
        region_name="us-east-1",
        aws_access_key_id="user",
        aws_secret_access_key="a-secret",
    )
