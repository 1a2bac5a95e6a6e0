"""`backup`: keys that seal and sign.

Files of keys are not looked at here: they are read when they are used, and may be elsewhere than
where a spec is written. Without `encryption.identity` a host makes backups and can't read them;
that is as it should be on most, and verifying or restoring says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kitestring.model import bech32
from kitestring.spec.plain import items, mapping, text
from kitestring.spec.problems import Problem


def check_backup(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of a spec's `backup.encryption` and `backup.signing`."""
    backup = mapping(data.get("backup"))
    encryption = mapping(backup.get("encryption"))
    seen: set[str] = set()
    for position, raw in enumerate(items(encryption.get("recipients"))):
        recipient, path = text(raw), ("backup", "encryption", "recipients", position)
        if not recipient.startswith("age1"):
            continue  # the models say so
        if recipient in seen:
            yield Problem(path, "this recipient is there more than once")
        seen.add(recipient)
        reason = _unfit(recipient)
        if reason:
            yield Problem(path, f"nothing can be sealed to this recipient: {reason}")
    signing = mapping(backup.get("signing"))
    key = text(mapping(signing.get("key")).get("file"))
    trusted = [text(name) for name in items(signing.get("trusted"))]
    for position, name in enumerate(trusted):
        path = ("backup", "signing", "trusted", position)
        if name and name == key:
            yield Problem(path, "this is the private key: name the file with its public half")
        elif name and name in trusted[:position]:
            yield Problem(path, f"`{name}` is there more than once")


def _unfit(recipient: str) -> str:
    try:
        prefix, key = bech32.decode(recipient)
    except ValueError as error:
        return str(error)
    if prefix != "age" or len(key) != 32:
        return "only X25519 recipients are known, not those of plugins or hybrids"
    return ""
