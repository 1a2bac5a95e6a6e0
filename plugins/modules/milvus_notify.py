#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: mail, webhook and command of the spec."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_notify
short_description: Tells whom the spec names, by mail, webhook or command
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Sends what happened to C(day2.mail), C(day2.webhook) and C(day2.notify) of the spec, as a
    scheduled task does that did not end well. One that can't be told keeps no other from being
    told, and fails the module.
  - Needs no collection beside this one. The cluster is not asked, and nothing is changed, so that
    the module never says that it was.
extends_documentation_fragment: kitestring.milvus.spec
options:
  subject:
    description: What happened, in one line.
    type: str
    required: true
  text:
    description: More of it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Keep the cluster, and tell somebody when that fails
  block:
    - name: Bring it back to its spec
      kitestring.milvus.milvus_reconcile:
        spec: /etc/kitestring/prod.yaml
  rescue:
    - name: Tell whom the spec names
      kitestring.milvus.milvus_notify:
        spec: /etc/kitestring/prod.yaml
        subject: "{{ ansible_failed_task.name }}: {{ ansible_failed_result.code }}"
        text: "{{ ansible_failed_result.msg }}"

    - name: Fail all the same
      ansible.builtin.fail:
        msg: "{{ ansible_failed_result.msg }}"
"""

RETURN = r"""
told:
  description: The keys of the spec whose people were told, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [day2.mail, day2.webhook]
code:
  description: The kind of the failure, such as C(notify.failed), or C(usage) where nobody is named.
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import run_module


def work(module, loaded):
    """Tells them."""
    from kitestring.enforce.notify import notify

    asked = module.params
    return {"told": notify(loaded, asked["subject"], asked["text"], dry_run=module.check_mode)}


def main():
    """Runs the module."""
    run_module(
        work,
        subject={"type": "str", "required": True},
        text={"type": "str", "default": ""},
    )


if __name__ == "__main__":
    main()
