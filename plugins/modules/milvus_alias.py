#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: an alias."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_alias
short_description: Keeps an alias of a collection
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Makes an alias, moves it to another collection in one step, or drops it.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.object
options:
  name:
    description: The alias.
    type: str
    required: true
  collection:
    description:
      - The collection that it leads to; that of the spec by default.
      - With C(state=absent), an alias that leads to another one is left, with a warning.
    type: str
  database:
    description: Its database; that of the spec's C(connection) by default.
    type: str
"""

EXAMPLES = r"""
- name: Searches go to the new collection
  kitestring.milvus.milvus_alias:
    spec: /etc/kitestring/prod.yaml
    name: docs
    collection: docs_v2
"""

RETURN = r"""
before:
  description: The alias before; empty where it was not there.
  returned: success
  type: dict
after:
  description: The alias now, or in check mode as it would be; empty where it is not there.
  returned: success
  type: dict
differences:
  description: What differed, in words.
  returned: success
  type: list
  elements: str
code:
  description: The kind of the failure, such as C(enforce.refused) or C(milvus.unreachable).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import (
    STATE,
    object_options,
    object_result,
    run_module,
)


def work(module, loaded):
    """Keeps the alias."""
    from kitestring.enforce.objects import keep_object

    named = {key: module.params[key] for key in ("name", "collection", "database")}
    return object_result(keep_object(loaded, "alias", named, **object_options(module)))


def main():
    """Runs the module."""
    run_module(
        work,
        name={"type": "str", "required": True},
        collection={"type": "str"},
        database={"type": "str"},
        state=STATE,
    )


if __name__ == "__main__":
    main()
