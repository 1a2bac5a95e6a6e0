#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: which model made the stored vectors."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_embedding_check
short_description: Fails when stored vectors are of another embedding model than the spec's
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Reads the label of the embedding model on every row of every collection of the spec, and fails
    when one is not the model that the spec names. It changes nothing.
  - Of collections with C(canary) in the spec, stored texts are embedded again too, and compared
    with what was signed off by C(kitestring embedding sign-off).
  - What can't be told is never a pass. It is a warning and the verdict V(inconclusive), or a
    failure with O(strict).
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.observation
options:
  strict:
    description: Fail also when it can't be told which model made the rows.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Stop here when stored vectors are of another model
  kitestring.milvus.milvus_embedding_check:
    spec: /etc/kitestring/prod.yaml
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(inconclusive).
  returned: always, once rows were read
  type: str
findings:
  description: What was found, with counts and example rows.
  returned: always, once rows were read
  type: list
  elements: dict
models:
  description: For each collection, the labels and how many rows carry them.
  returned: always, once rows were read
  type: dict
code:
  description: The kind of the failure, such as C(embedding.model-mismatch) for rows that carry
    another model, C(embedding.canary) for rows that are another model's whatever they carry.
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import fail, run_module


def work(module, loaded):
    """Checks the labels of all rows, and the vectors where the spec asks for it."""
    from kitestring.enforce.answers import models_answer
    from kitestring.enforce.embedding import check_models

    result = check_models(loaded)
    answer = models_answer(result)
    if result.wrong or (result.unknown and module.params["strict"]):
        first = (result.wrong or result.unknown)[0]
        every = "; ".join(result.lines(result.wrong or result.unknown))
        fail(module, every, first.check, first.hint, **answer)
    return answer


def main():
    """Runs the module."""
    run_module(work, observed="embedding", strict={"type": "bool", "default": False})


if __name__ == "__main__":
    main()
