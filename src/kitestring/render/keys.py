"""Keys of backups as lines of text."""

from __future__ import annotations

from collections.abc import Sequence


def pair_as_text(kind: str, private: str, public: str, name: str) -> str:
    """What `kitestring backup keys new` prints: the files, and what to write into the spec."""
    if kind == "age":
        entry = (
            "  encryption:\n    type: age\n"
            f"    recipients: [{name}]\n    identity: {{file: {private}}}"
        )
        where = "`identity` only on hosts that read backups; keep a copy of it elsewhere"
    else:
        entry = f"  signing:\n    key: {{file: {private}}}\n    trusted: [{public}]"
        where = "`key` only on hosts that make backups"
    return f"private {private}\npublic  {public}\nname    {name}\n\n{where}\n\nbackup:\n{entry}"


def keys_as_text(lines: Sequence[tuple[str, str, str, str]]) -> str:
    """What `kitestring backup keys show` prints: use, place, name and remark of each."""
    if not lines:
        return "the spec names no keys: backups are neither sealed nor signed"
    uses = max(len(use) for use, *_ in lines)
    places = max(len(where) for _, where, *_ in lines)
    return "\n".join(
        f"{use:{uses}}  {where:{places}}  {name or '-'}{f'  ({remark})' if remark else ''}"
        for use, where, name, remark in lines
    )
