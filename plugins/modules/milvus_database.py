#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: a database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_database
short_description: Keeps a database of Milvus
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Makes, changes or drops a database.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.object
options:
  name:
    description: The database's name.
    type: str
    required: true
  properties:
    description: Properties it must have, such as C(database.replica.number). Others are left alone.
    type: dict
  allow_data_loss:
    description: It may be dropped or made anew although it holds rows.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: A database for each environment
  kitestring.milvus.milvus_database:
    spec: /etc/kitestring/prod.yaml
    name: staging

- name: Drop it, although it may hold rows
  kitestring.milvus.milvus_database:
    spec: /etc/kitestring/prod.yaml
    name: staging
    state: absent
    allow_data_loss: true
"""

RETURN = r"""
before:
  description: The database before; empty where it was not there.
  returned: success
  type: dict
after:
  description: The database now, or in check mode as it would be; empty where it is not there.
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
    LOSS,
    STATE,
    object_options,
    object_result,
    run_module,
    texts,
)


def work(module, loaded):
    """Keeps the database."""
    from kitestring.enforce.objects import keep_object

    named = {"name": module.params["name"], "properties": texts(module.params["properties"])}
    return object_result(keep_object(loaded, "database", named, **object_options(module)))


def main():
    """Runs the module."""
    run_module(
        work,
        name={"type": "str", "required": True},
        properties={"type": "dict"},
        state=STATE,
        allow_data_loss=LOSS,
    )


if __name__ == "__main__":
    main()
