#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: one look at a cluster for a whole play."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_observe
short_description: Looks once at a cluster for all tasks of a play
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Observes the cluster once, and finds out for which of these modules there is nothing to do -
    M(kitestring.milvus.milvus_embedding_check), M(kitestring.milvus.milvus_reconcile) and
    M(kitestring.milvus.milvus_compaction). Given RV(observation), those answer at once.
  - A look holds for ten minutes, for this spec as it is, and until a module of this collection
    changes something on the cluster. What has something to do looks for itself.
  - Nothing is changed. In check mode nothing is looked at either, because the answers are kept in a
    file below the C(state) of the spec.
extends_documentation_fragment: kitestring.milvus.spec
"""

EXAMPLES = r"""
- name: Look once
  kitestring.milvus.milvus_observe:
    spec: /etc/kitestring/prod.yaml
  register: look

- name: Bring the cluster back to its spec
  kitestring.milvus.milvus_reconcile:
    spec: /etc/kitestring/prod.yaml
    observation: "{{ look.observation }}"
"""

RETURN = r"""
observation:
  description: The file of the look; empty in check mode.
  returned: success
  type: str
settled:
  description: What there is nothing to do for, out of V(embedding), V(reconcile), V(compaction).
  returned: success
  type: list
  elements: str
open:
  description: What looks for itself.
  returned: success
  type: list
  elements: str
code:
  description: The kind of the failure, such as C(milvus.unreachable).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import run_module


def work(module, loaded):
    """Looks, and keeps the answers."""
    from kitestring.enforce.look import TASKS, look
    from kitestring.enforce.observation import keep_answers

    if module.check_mode:
        return {"observation": "", "settled": [], "open": list(TASKS)}
    found = look(loaded)
    return {
        "observation": str(keep_answers(loaded, found.answers)),
        "settled": list(found.answers),
        "open": list(found.open),
    }


def main():
    """Runs the module."""
    run_module(work)


if __name__ == "__main__":
    main()
