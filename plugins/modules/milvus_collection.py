#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: a collection."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_collection
short_description: Keeps a collection of Milvus, its schema, properties and load state
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Makes, changes or drops a collection. What is not named is taken from the spec where the
    spec has the collection, and is otherwise left as it is.
  - A field that may be null is added in place, from Milvus 2.6 on; an earlier server is refused by
    its version, with the code C(milvus.unknown-call).
  - A change that Milvus can't make in place, such as another type of a field, is refused where
    rows would be lost by it.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.object
options:
  name:
    description: The collection's name.
    type: str
    required: true
  database:
    description: Its database; that of the spec's C(connection) by default.
    type: str
  fields:
    description: The whole schema, each field as in C(columns) of a spec.
    type: list
    elements: dict
  dynamic:
    description: Whether rows may have fields that the schema does not name.
    type: bool
  shards:
    description: Channels that writes are spread over.
    type: int
  properties:
    description:
      - Properties it must have, such as C(collection.ttl.seconds) or C(mmap.enabled). Others are
        left alone.
    type: dict
  partitions:
    description: Partitions that must be there. Others are left alone.
    type: list
    elements: str
    default: []
  loaded:
    description: Whether it is in the query nodes' memory. Left as it is by default.
    type: bool
  replicas:
    description: Copies in memory; loads the collection. Left as they are by default.
    type: int
  allow_data_loss:
    description: It may be dropped or made anew although it holds rows.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The collection as the spec has it
  kitestring.milvus.milvus_collection:
    spec: /etc/kitestring/prod.yaml
    name: docs

- name: Rows that go after a day
  kitestring.milvus.milvus_collection:
    spec: /etc/kitestring/prod.yaml
    name: sessions
    fields:
      - {name: id, type: INT64, primary: true}
      - {name: embedding, type: FLOAT_VECTOR, dim: 384}
    properties:
      collection.ttl.seconds: 86400

- name: A field more, which the rows that are there have no value of
  kitestring.milvus.milvus_collection:
    spec: /etc/kitestring/prod.yaml
    name: sessions
    fields:
      - {name: id, type: INT64, primary: true}
      - {name: embedding, type: FLOAT_VECTOR, dim: 384}
      - {name: lang, type: VARCHAR, max_length: 16, nullable: true}

- name: Two replicas
  kitestring.milvus.milvus_collection:
    spec: /etc/kitestring/prod.yaml
    name: docs
    loaded: true
    replicas: 2
"""

RETURN = r"""
before:
  description: The collection before; empty where it was not there.
  returned: success
  type: dict
after:
  description: The collection now, or in check mode as it would be; empty where it is not there.
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
    """Keeps the collection, its partitions and its load state."""
    from kitestring.enforce.composed import keep_collection

    asked = module.params
    named = {key: asked[key] for key in ("name", "database", "fields", "dynamic", "shards")}
    return object_result(
        keep_collection(
            loaded,
            {**named, "properties": texts(asked["properties"])},
            partitions=asked["partitions"],
            in_memory=asked["loaded"],
            replicas=asked["replicas"],
            **object_options(module),
        )
    )


def main():
    """Runs the module."""
    run_module(
        work,
        name={"type": "str", "required": True},
        database={"type": "str"},
        fields={"type": "list", "elements": "dict"},
        dynamic={"type": "bool"},
        shards={"type": "int"},
        properties={"type": "dict"},
        partitions={"type": "list", "elements": "str", "default": []},
        loaded={"type": "bool"},
        replicas={"type": "int"},
        state=STATE,
        allow_data_loss=LOSS,
    )


if __name__ == "__main__":
    main()
