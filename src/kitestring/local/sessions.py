"""Sweeps what a former run left in the embedded etcd.

A Milvus component registers under `by-dev/meta/session/` with a lease, and the embedded server
ends without giving it back. After a restart the components wait for each other at the addresses
of the former run until the leases are over: 36 s with leases of 30 s, where 9 s are enough.

Every run of a server takes the next number as its id and writes the one after it to
`session/id`; so a session whose `ServerID` is below that counter less one is of a former run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from kitestring.local.wire import call, fields, text_field

_PREFIX = b"by-dev/meta/session/"
_COUNTER = _PREFIX + b"id"
_RANGE, _DELETE = "/etcdserverpb.KV/Range", "/etcdserverpb.KV/DeleteRange"


def stale(entries: Mapping[bytes, bytes]) -> list[bytes]:
    """The keys of sessions of former runs, among all entries below the prefix."""
    try:
        current = int(entries[_COUNTER]) - 1
    except (KeyError, ValueError):
        return []
    found = []
    for key, value in entries.items():
        try:
            if key != _COUNTER and int(json.loads(value)["ServerID"]) < current:
                found.append(key)
        except (ValueError, KeyError, TypeError):
            continue  # not a session
    return found


def sweep(etcd_port: int, *, timeout: float = 1.0) -> int:
    """Removes the sessions of former runs; 0 also where etcd does not answer yet."""
    import grpc

    try:
        # the end of the range is the prefix with its last byte one higher
        end = _PREFIX[:-1] + bytes((_PREFIX[-1] + 1,))
        answer = call(
            etcd_port, _RANGE, text_field(1, _PREFIX) + text_field(2, end), timeout=timeout
        )
        entries = {}
        for number, value in fields(answer):
            if number == 2 and isinstance(value, bytes):
                pair = dict(fields(value))
                entries[bytes(pair.get(1, b""))] = bytes(pair.get(5, b""))
        keys = stale(entries)
        for key in keys:
            call(etcd_port, _DELETE, text_field(1, key), timeout=timeout)
    except grpc.RpcError:
        return 0
    return len(keys)
