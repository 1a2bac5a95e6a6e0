#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: a cluster back to its spec."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_reconcile
short_description: Brings collections, indexes, load state and aliases back to the spec
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Observes the cluster once, compares it with the spec, and corrects what differs - missing
    collections, missing fields that may be null (from Milvus 2.6 on), missing or differing indexes,
    load state, replicas, and aliases, in this order.
  - Nothing is destroyed. Another schema, for instance, is not corrected but named in RV(unfixable).
  - An index that differs is dropped and built again, during which searches of that collection are
    interrupted for the seconds that releasing and loading take.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.observation
options:
  fail_on_unfixable:
    description: Fail, after everything else was corrected, when a grave difference is left.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Bring the cluster back to its spec
  kitestring.milvus.milvus_reconcile:
    spec: /etc/kitestring/prod.yaml
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    kind: {description: Such as C(create-index)., type: str}
    subject: {description: Cluster and collection and part., type: str}
    reason: {description: Why., type: str}
    before: {description: What was., type: str}
    after: {description: What is now., type: str}
    check: {description: The check that calls for it., type: str}
unfixable:
  description: Differences that are left to a human, with the reason.
  returned: always, once the cluster was observed
  type: list
  elements: dict
code:
  description: The kind of the failure, such as C(milvus.unreachable).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import fail, run_module


def work(module, loaded):
    """Reconciles, or in check mode says what would be done."""
    from kitestring.enforce.answers import reconciliation_answer
    from kitestring.enforce.reconcile import reconcile

    result = reconcile(loaded, dry_run=module.check_mode)
    answer = reconciliation_answer(loaded, result)
    if result.grave and module.params["fail_on_unfixable"]:
        left = "; ".join(f"{r.subject}: {r.reason}" for r in result.grave)
        fail(module, f"left as it is: {left}", "enforce.unfixable", **answer)
    return answer


def main():
    """Runs the module."""
    run_module(work, observed="reconcile", fail_on_unfixable={"type": "bool", "default": True})


if __name__ == "__main__":
    main()
