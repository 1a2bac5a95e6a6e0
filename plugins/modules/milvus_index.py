#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: an index."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_index
short_description: Keeps the index of a field
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Makes, changes or drops the index of one field. For another definition
    the collection is released, the index built anew, and the collection loaded again; searches are
    exact, and slower, until it is built. No row is lost by it.
  - What is not named is taken from the spec where the spec has the index.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.object
options:
  collection:
    description: The collection.
    type: str
    required: true
  field:
    description: The field that is indexed.
    type: str
    required: true
  database:
    description: Its database; that of the spec's C(connection) by default.
    type: str
  type:
    description: Such as V(HNSW).
    type: str
  metric:
    description: Such as V(COSINE); of an index on a vector.
    type: str
  params:
    description: Parameters of its type, such as C(M) and C(efConstruction) of V(HNSW).
    type: dict
  index_name:
    description: The index's name; that of the field by default.
    type: str
"""

EXAMPLES = r"""
- name: The index as the spec has it
  kitestring.milvus.milvus_index:
    spec: /etc/kitestring/prod.yaml
    collection: docs
    field: embedding

- name: A graph with more edges
  kitestring.milvus.milvus_index:
    spec: /etc/kitestring/prod.yaml
    collection: docs
    field: embedding
    type: HNSW
    metric: COSINE
    params: {M: 32, efConstruction: 300}
"""

RETURN = r"""
before:
  description: The index before; empty where it was not there.
  returned: success
  type: dict
after:
  description: The index now, or in check mode as it would be; empty where it is not there.
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
    """Keeps the index."""
    from kitestring.enforce.objects import keep_object

    names = ("collection", "field", "database", "type", "metric", "params", "index_name")
    named = {key: module.params[key] for key in names}
    return object_result(keep_object(loaded, "index", named, **object_options(module)))


def main():
    """Runs the module."""
    run_module(
        work,
        collection={"type": "str", "required": True},
        field={"type": "str", "required": True},
        database={"type": "str"},
        type={"type": "str"},
        metric={"type": "str"},
        params={"type": "dict"},
        index_name={"type": "str"},
        state=STATE,
    )


if __name__ == "__main__":
    main()
