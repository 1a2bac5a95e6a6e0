"""Ports and the rendered configuration."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from kitestring.errors import LocalError
from kitestring.local.config import ETCD, choose_ports, is_free, port_names, render, render_etcd

TEMPLATE = """\
# of the server
etcd:
  endpoints: localhost:{{ etcd_port(int): 2379 }}
  log:
    path: {{ etcd_log_path: stdout }}
  data:
    dir: {{ etcd_data_dir }}
localStorage:
  path: {{ local_storage_dir }} # where
rocksmq:
  path: {{ rocksmq_data_dir }}
rootCoord: {ip: , port: 1}
proxy:
  ip: # any
  port: {{ proxy_port(int): 19530 }}
queryCoord: {ip: , port: 1}
queryNode: {ip: , port: 1}
indexNode: {ip: , port: 1}
dataCoord: {ip: , port: 1, compaction: {enableAutoCompaction: true}}
dataNode: {ip: , port: 1}
tls:
  pem: {{ server_pem_path: server.pem }}
log:
  stdout: true
  file:
    rootPath: {{ system_log_path }}
    maxSize: 300
    maxBackups: 20
common:
  storageType: local
  gracefulStopTimeout: 1800
  session:
    ttl: 30
  security:
    authorizationEnabled: {{ authorization_enabled(bool): false }}
"""
PORTS = {"proxy_port": 20001, "etcd_port": 20002, "metrics_port": 20004}


def rendered(data: str = "/data", **options: object) -> dict[str, dict[str, object]]:
    text = render(TEMPLATE, data=Path(data), ports=PORTS, **options)  # type: ignore[arg-type]
    found: dict[str, dict[str, object]] = yaml.safe_load(text)
    return found


def test_ports_paths_and_defaults_are_filled_in() -> None:
    found = rendered("/a b/#c: 'd'")
    assert found["proxy"] == {"ip": "127.0.0.1", "port": 20001}
    assert found["etcd"]["endpoints"] == "localhost:20002"
    assert found["localStorage"]["path"] == "/a b/#c: 'd'/data"
    assert found["tls"]["pem"] == "server.pem"
    assert found["common"]["security"] == {"authorizationEnabled": False}


def test_extra_settings_win() -> None:
    found = rendered(extra={"common.storageType": "remote", "log.file.maxSize": "5"})
    assert found["common"]["storageType"] == "remote"
    assert found["log"]["file"]["maxSize"] == 5  # type: ignore[index]


@pytest.mark.parametrize("key", ["common.storagetype", "nothing", "common.storageType.x"])
def test_a_setting_that_the_server_does_not_have_is_an_error(key: str) -> None:
    with pytest.raises(LocalError, match="is no setting"):
        rendered(extra={key: "1"})


def test_a_value_that_is_no_yaml_is_an_error() -> None:
    with pytest.raises(LocalError, match="is no value for"):
        rendered(extra={"common.storageType": "[1"})


def test_the_template_names_the_ports() -> None:
    assert port_names(TEMPLATE) == ["etcd_port", "proxy_port", "metrics_port"]


def test_etcd_gets_a_peer_port_of_its_own() -> None:
    found = yaml.safe_load(render_etcd(PORTS))
    assert found["listen-client-urls"] == "http://127.0.0.1:20002"
    assert found["listen-peer-urls"] == "http://127.0.0.1:20003"


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_ports_are_free_different_and_leave_room_for_the_peers_of_etcd() -> None:
    chosen = choose_ports(["a", ETCD, "b"], {"c": 20001})
    assert chosen["c"] == 20001
    peers = chosen[ETCD] + 1
    assert len({*chosen.values(), peers}) == 5
    assert all(is_free(port) for port in (*chosen.values(), peers))


def test_the_ports_of_the_last_run_are_taken_again_where_they_are_free() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        free = choose_ports(["a"], {})["a"]
        chosen = choose_ports(["a", "b"], {}, {"a": free, "b": taken})
    assert chosen["a"] == free
    assert chosen["b"] != taken
