#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: a backup that is never too old."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_backup
short_description: Keeps backups by the spec, made when the newest is too old, verified, pruned
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Reads the catalog that the spec names. When the newest readable backup of the cluster is
    older than the objective C(objectives.rpo) of the spec, a new one is made.
  - A new one is verified by C(day2.backup.verify) of the spec. Then what C(backup.retention) does
    not keep is marked, and removed once its grace period is over.
extends_documentation_fragment: kitestring.milvus.spec
options:
  max_age:
    description:
      - How old the newest backup may be, as a number and a unit such as V(90s) or V(12h).
      - The objective C(objectives.rpo) of the spec by default.
    type: str
  force:
    description: Make a backup without regard to the age of the newest one.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Make a backup when the newest one is older than the objective
  kitestring.milvus.milvus_backup:
    spec: /etc/kitestring/prod.yaml

- name: Make one before an upgrade, unless there is one from the last hour
  kitestring.milvus.milvus_backup:
    spec: /etc/kitestring/prod.yaml
    max_age: 1h
"""

RETURN = r"""
reason:
  description: Why a backup was made, or why not.
  returned: success
  type: str
before:
  description: The newest backup before; empty where there was none.
  returned: success
  type: dict
after:
  description: The newest backup now; in check mode that of before.
  returned: success
  type: dict
verified:
  description: The tier by which a new backup was verified; empty where none was.
  returned: success
  type: str
marked:
  description: Backups that no rule of the retention keeps any more; they go after its grace period.
  returned: success
  type: list
  elements: str
removed:
  description: Backups whose grace period was over.
  returned: success
  type: list
  elements: str
freed_bytes:
  description: What was freed in the store, or in check mode would be.
  returned: success
  type: int
code:
  description: The kind of the failure, such as C(backup.busy).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import run_module, seconds


def work(module, loaded):
    """Makes a backup if one is due, or in check mode says whether one is."""
    from kitestring.enforce.backups import keep_backups
    from kitestring.errors import BackupError
    from kitestring.model.codec import to_plain

    kept = keep_backups(
        loaded,
        max_age=seconds(module, "max_age"),
        force=module.params["force"],
        dry_run=module.check_mode,
    )
    if kept.problems:
        raise BackupError("; ".join(kept.problems), hint="see what is said of each")
    due, pruned = kept.due, kept.pruned
    newest = kept.made or due.newest
    return {
        "changed": kept.changed,
        "reason": due.reason,
        "before": to_plain(due.newest) or {},
        "after": to_plain(newest) or {},
        "verified": kept.verified.tier if kept.verified else "",
        "marked": list(pruned.marked) if pruned else [],
        "removed": list(pruned.removed) if pruned else [],
        "freed_bytes": pruned.bytes if pruned else 0,
        "diff": {
            "before": f"newest backup: {due.newest.id if due.newest else 'none'}\n"
            + _lines(pruned, "kept", "there"),
            "after": f"newest backup: {_shown(due, newest)}\n"
            + _lines(pruned, "marked", "removed"),
        },
    }


def _lines(pruned, marked, removed):
    if pruned is None:
        return ""
    lines = [f"{name}: {marked}\n" for name in pruned.marked]
    return "".join(lines + [f"{name}: {removed}\n" for name in pruned.removed])


def _shown(due, newest):
    if due.due and newest is due.newest:
        return "a new one"
    return newest.id if newest else "none"


def main():
    """Runs the module."""
    run_module(
        work,
        max_age={"type": "str"},
        force={"type": "bool", "default": False},
    )


if __name__ == "__main__":
    main()
