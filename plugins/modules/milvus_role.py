#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: a role and what it may do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_role
short_description: Keeps a role of Milvus and its grants
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Makes, changes or drops a role. In one database the role may do what O(grants) says, and nothing
    else.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.object
options:
  name:
    description: The role's name.
    type: str
    required: true
  database:
    description: The database of the grants; that of the spec's C(connection) by default.
    type: str
  grants:
    description:
      - What the role may do. Grants that are not named are taken away.
      - Where it is left out, those of the spec; or, without such a role in it, they are left alone.
    type: list
    elements: dict
    suboptions:
      object:
        description: The kind of object.
        type: str
        choices: [Global, Collection, User]
        default: Collection
      name:
        description: The object's name, or V(*) for all of its kind.
        type: str
        default: "*"
      privileges:
        description: Such as V(Search) and V(Query).
        type: list
        elements: str
        required: true
"""

EXAMPLES = r"""
- name: Who may read
  kitestring.milvus.milvus_role:
    spec: /etc/kitestring/prod.yaml
    name: reader
    grants:
      - name: docs
        privileges: [Search, Query]
"""

RETURN = r"""
before:
  description: The role and its grants before; empty where it was not there.
  returned: success
  type: dict
after:
  description: The same now, or in check mode as it would be; empty where it is not there.
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
    """Keeps the role and its grants."""
    from kitestring.enforce.composed import keep_role

    asked = module.params
    kept = keep_role(
        loaded,
        asked["name"],
        asked["grants"],
        database=asked["database"],
        **object_options(module),
    )
    return object_result(kept)


def main():
    """Runs the module."""
    run_module(
        work,
        name={"type": "str", "required": True},
        database={"type": "str"},
        grants={
            "type": "list",
            "elements": "dict",
            "options": {
                "object": {
                    "type": "str",
                    "choices": ["Global", "Collection", "User"],
                    "default": "Collection",
                },
                "name": {"type": "str", "default": "*"},
                "privileges": {"type": "list", "elements": "str", "required": True},
            },
        },
        state=STATE,
    )


if __name__ == "__main__":
    main()
