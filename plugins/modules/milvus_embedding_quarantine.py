#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: rows of another embedding model, set aside."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_embedding_quarantine
short_description: Takes rows of another embedding model out of the collections
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Copies the rows whose label is another embedding model than the spec's to a file in
    C(quarantine) below the spec's state directory, then deletes them and proves by query that they
    are gone. The vectors are not copied.
  - The ledger forgets these rows, so that the next ingestion writes their documents again.
  - Rows without a label stay where they are. So does what can't be read, and C(collections) of the
    result says why.
extends_documentation_fragment: kitestring.milvus.spec
"""

EXAMPLES = r"""
- name: Set aside what another model made
  kitestring.milvus.milvus_embedding_quarantine:
    spec: /etc/kitestring/prod.yaml
"""

RETURN = r"""
collections:
  description: What became of each collection.
  returned: success
  type: list
  elements: dict
  contains:
    collection: {description: Its name., type: str}
    rows: {description: Rows of another model., type: int}
    file: {description: The file (in check mode the folder) that has them., type: str}
    left: {description: Why it was not looked at., type: str}
actions:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: dict
code:
  description: The kind of the failure, such as C(ingest.busy).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import run_module


def work(module, loaded):
    """Sets the rows aside, or in check mode says how many it would be."""
    from kitestring.clients.milvus.connect import connect
    from kitestring.enforce.answers import steps_answer
    from kitestring.enforce.quarantine import as_actions, quarantine

    with connect(loaded) as milvus:
        results = quarantine(loaded, milvus, dry_run=module.check_mode)
    return {
        **steps_answer(as_actions(loaded, results), "rows"),
        "collections": [r.as_dict() for r in results],
    }


def main():
    """Runs the module."""
    run_module(work)


if __name__ == "__main__":
    main()
