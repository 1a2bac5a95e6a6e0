"""The embedded server in a few lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stack_as_text(facts: Mapping[str, Any]) -> str:
    """What `kitestring.local.describe` found out, for people."""
    if not facts["running"]:
        return f"no server runs for {facts['data']}"
    state = "running" if facts["answers"] else "running, but it does not answer"
    rows = {
        "server": f"Milvus {facts['version']}, {state}",
        "uri": facts["uri"],
        "data": facts["data"],
        "process": facts["pid"],
        "metrics": f"http://127.0.0.1:{facts['metrics_port']}/metrics",
    }
    return "\n".join(f"{name:8} {value}" for name, value in rows.items())
