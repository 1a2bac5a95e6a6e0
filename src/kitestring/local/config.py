"""The server's ports and its `milvus.yaml`, rendered from the wheel's template."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from kitestring.errors import LocalError

_PLACE = re.compile(r"\{\{\s*(\w+)\s*(?:\(\w+\))?\s*(?::\s*([^}]*?))?\s*\}\}")
_PORTS = range(20000, 32000)  # below the range that the kernel gives to outgoing connections
_COMPONENTS = (
    "rootCoord",
    "proxy",
    "queryCoord",
    "queryNode",
    "indexNode",
    "dataCoord",
    "dataNode",
)
PROXY, ETCD, METRICS = "proxy_port", "etcd_port", "metrics_port"


def is_free(port: int) -> bool:
    """Whether a server could listen on the port, on every address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as Go's listeners do; connections in TIME_WAIT do not count then, a listener does
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen()
        except (OSError, OverflowError):
            return False
    return True


def choose_ports(
    names: Iterable[str], fixed: Mapping[str, int], before: Mapping[str, int] | None = None
) -> dict[str, int]:
    """A free port for each name; the one after etcd's is kept free too, for its peers.

    Args:
        before: the ports of the last run; they are taken again where they are free. The server's
            components find each other through addresses in etcd that outlive a stop: on
            other ports a restart takes that long.

    Raises:
        LocalError: no ports are free.
    """
    chosen = dict(fixed)
    taken = set(fixed.values())
    for name in names:
        if name in chosen:
            continue
        again = [before[name]] if before and name in before else []
        for candidate in again + random.sample(_PORTS, 200):
            wanted = {candidate, candidate + 1} if name == ETCD else {candidate}
            if not wanted & taken and all(map(is_free, wanted)):
                chosen[name] = candidate
                taken |= wanted
                break
        else:
            raise LocalError(
                f"no free port between {_PORTS.start} and {_PORTS.stop}",
                hint="stop what listens there",
            )
    return chosen


def port_names(template: str) -> list[str]:
    """The placeholders of the template that are ports, and the metrics port."""
    found = {m.group(1) for m in _PLACE.finditer(template) if m.group(1).endswith("_port")}
    return [*sorted(found), METRICS]


def render(
    template: str,
    *,
    data: Path,
    ports: Mapping[str, int],
    authorization: bool = False,
    extra: Mapping[str, str] | None = None,
) -> str:
    """The text of `milvus.yaml`.

    Args:
        extra: dotted keys, such as `common.storageType`; they win over everything else.

    Raises:
        LocalError: a key of `extra` is not in the template, or a value is not one of YAML.
    """
    storage, logs = data / "data", data / "logs"
    paths = {
        "etcd_data_dir": storage / "etcd.data",
        "etcd_log_path": Path("logs/etcd.log"),  # a URL to it: a `#` in the directory would fail
        "local_storage_dir": storage,
        "rocksmq_data_dir": storage / "rocksmq",
        "system_log_path": logs,
    }
    values = {
        **{name: str(port) for name, port in ports.items()},
        **{name: _quoted(path) for name, path in paths.items()},
        "authorization_enabled": "true" if authorization else "false",
    }
    text = _PLACE.sub(lambda m: values.get(m.group(1), m.group(2) or ""), template)
    settings = {
        "etcd.config.path": _quoted(data / "configs" / "etcd.yaml"),
        **{f"{component}.ip": "127.0.0.1" for component in _COMPONENTS},
        "common.gracefulStopTimeout": "3",  # seconds; a query node waits for its 30 minutes else
        # a machine out of breath would else lose its sessions; `sessions` sweeps the old ones
        "common.session.ttl": "60",
        # seconds between two looks at whether compactions are done
        "dataCoord.compaction.check.interval": "1",
        # rotated files instead of a standard output that grows without end
        "log.stdout": "false",
        "log.file.maxSize": "32",
        "log.file.maxBackups": "2",
        **(extra or {}),
    }
    return _with_settings(text, settings)


def render_etcd(ports: Mapping[str, int]) -> str:
    """The text of the embedded etcd's own file. Without one its peer port is 2380 for every
    server, and a second one can't start."""
    client, peer = f"http://127.0.0.1:{ports[ETCD]}", f"http://127.0.0.1:{ports[ETCD] + 1}"
    return (
        f"name: default\n"
        f"listen-client-urls: {client}\n"
        f"advertise-client-urls: {client}\n"
        f"listen-peer-urls: {peer}\n"
        f"initial-advertise-peer-urls: {peer}\n"
        f"initial-cluster: default={peer}\n"
    )


def _with_settings(text: str, settings: Mapping[str, str]) -> str:

    document: Any = yaml.safe_load(text)
    # known to the server, not in its template
    document["etcd"]["config"] = {"path": ""}
    document["dataCoord"]["compaction"]["check"] = {"interval": 10}
    for key, value in settings.items():
        *parents, last = key.split(".")
        node = document
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            raise LocalError(
                f"`{key}` is no setting of this server", hint="see configs/milvus.yaml in --data"
            )
        try:
            node[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise LocalError(f"`{value}` is no value for `{key}`") from None
    return str(yaml.safe_dump(document, sort_keys=False))


def _quoted(path: Path) -> str:
    """A path as a string of YAML, of which JSON is a part."""
    return json.dumps(str(path), ensure_ascii=False)
