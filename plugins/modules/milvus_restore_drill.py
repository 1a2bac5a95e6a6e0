#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: a drill that is never too old."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_restore_drill
short_description: Drills a restore when none has passed lately
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Reads the drill history of the spec. When the newest drill did not pass, or is older than
    C(objectives.drill_every), the newest backup is restored into a second server and compared.
  - Fails when the drill misses an objective.
extends_documentation_fragment: kitestring.milvus.spec
options:
  max_age:
    description:
      - How old the newest passed drill may be, as a number and a unit such as V(24h) or V(7d).
      - The objective C(objectives.drill_every) of the spec by default.
    type: str
  target:
    description:
      - V(embedded) is a second server on the managed host.
      - V(kubernetes) is one that is made from the spec's C(deployment), in a namespace of its own
        that is removed again.
      - What C(day2.drill) of the spec names by default.
    type: str
    choices: [embedded, kubernetes]
  force:
    description: Drill without regard to the age of the newest one.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Drill a restore when none has passed lately
  kitestring.milvus.milvus_restore_drill:
    spec: /etc/kitestring/prod.yaml

- name: Drill one before an upgrade
  kitestring.milvus.milvus_restore_drill:
    spec: /etc/kitestring/prod.yaml
    force: true
"""

RETURN = r"""
reason:
  description: Why a drill was run, or why not.
  returned: always, once the history was read
  type: str
drill:
  description: Id of the drill that was run; empty where none was.
  returned: always, once the history was read
  type: str
rpo_seconds:
  description: What it measured as RPO.
  returned: where a drill was run
  type: float
rto_seconds:
  description: What it measured as RTO; null where the copy gave no right answer.
  returned: where a drill was run
  type: float
before:
  description: The newest drill that had passed; empty where none had.
  returned: always, once the history was read
  type: dict
after:
  description: The newest drill that has passed; in check mode that of before.
  returned: always, once the history was read
  type: dict
code:
  description: The kind of the failure, such as C(drill.failed).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import (
    fail,
    run_module,
    seconds,
)


def work(module, loaded):
    """Runs a drill if one is due, or in check mode says whether one is."""
    from kitestring.backup.drill_history import summary_of
    from kitestring.drill.due import ensure_drill
    from kitestring.errors import DrillFailed
    from kitestring.model.codec import to_plain

    due, record = ensure_drill(
        loaded,
        max_age=seconds(module, "max_age"),
        force=module.params["force"],
        dry_run=module.check_mode,
        target=module.params["target"],
    )
    newest = due.newest.id if due.newest else "none"
    passed = record if record is not None and record.passed else None
    measured = {}
    if record is not None:
        measured = {"rpo_seconds": record.rpo_seconds, "rto_seconds": record.rto}
    answer = {
        "changed": due.due,
        "reason": due.reason,
        "drill": record.id if record else "",
        **measured,
        "before": to_plain(due.newest) or {},
        "after": to_plain(summary_of(passed) if passed else due.newest) or {},
    }
    if record is not None and passed is None:
        missed = ", ".join(o.name for o in record.objectives if not o.met)
        said = f"the drill {record.id} missed {missed or 'an objective'}"
        fail(module, said, DrillFailed.code, f"kitestring drill show {record.id}", **answer)
    after = passed.id if passed else "a new one" if due.due else newest
    return {
        **answer,
        "diff": {
            "before": f"newest passed drill: {newest}\n",
            "after": f"newest passed drill: {after}\n",
        },
    }


def main():
    """Runs the module."""
    run_module(
        work,
        max_age={"type": "str"},
        target={"type": "str", "choices": ["embedded", "kubernetes"]},
        force={"type": "bool", "default": False},
    )


if __name__ == "__main__":
    main()
