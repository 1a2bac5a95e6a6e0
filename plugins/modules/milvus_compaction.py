#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: compaction by policy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_compaction
short_description: Compacts the collections whose segments call for it
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Compares the segments of each collection of the spec with the policy C(day2.compaction) of the
    spec, compacts those that are outside of it, and waits until that is done.
  - What a compaction left is remembered in the spec's state directory, so that segments which the
    server will not merge further are not compacted again and again.
  - Outside of C(day2.compaction.window) nothing is started. Where the disk of the segments is known
    to have too little room (C(day2.compaction.headroom)), the module fails; where that can't be
    known, C(headroom) of the result says why.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.observation
options:
  collections:
    description: Names of collections of the spec; none for all of them.
    type: list
    elements: str
    default: []
  force:
    description: Compact without regard to the policy and its window.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that the compaction of one collection may take; C(day2.compaction.deadline) of the
        spec by default.
    type: float
"""

EXAMPLES = r"""
- name: Compact what the spec's policy calls for
  kitestring.milvus.milvus_compaction:
    spec: /etc/kitestring/prod.yaml

- name: Compact one collection now
  kitestring.milvus.milvus_compaction:
    spec: /etc/kitestring/prod.yaml
    collections: [docs_v1]
    force: true
"""

RETURN = r"""
collections:
  description: What became of each collection.
  returned: success
  type: list
  elements: dict
  contains:
    collection: {description: Its name., type: str}
    wanted: {description: Whether the policy calls for a compaction., type: bool}
    reason: {description: Why or why not., type: str}
    ran: {description: Whether one ran., type: bool}
    changed: {description: Whether the segments are others than before., type: bool}
    before: {description: Segments and rows and deleted rows before., type: dict}
    after: {description: The same afterwards., type: dict}
    seconds: {description: How long it took., type: float}
    headroom: {description: Bytes needed and free or why not known., type: dict}
actions:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: dict
code:
  description: The kind of the failure, such as C(enforce.disk-headroom).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import run_module


def work(module, loaded):
    """Compacts, or in check mode says what would be compacted."""
    from kitestring.clients.milvus.connect import connect
    from kitestring.enforce.answers import compaction_answer
    from kitestring.enforce.compaction import compact

    with connect(loaded) as milvus:
        results = compact(
            loaded,
            milvus,
            collections=module.params["collections"],
            force=module.params["force"],
            dry_run=module.check_mode,
            timeout=module.params["timeout"],
        )
    return compaction_answer(loaded, results)


def main():
    """Runs the module."""
    run_module(
        work,
        observed="compaction",
        collections={"type": "list", "elements": "str", "default": []},
        force={"type": "bool", "default": False},
        timeout={"type": "float"},
    )


if __name__ == "__main__":
    main()
