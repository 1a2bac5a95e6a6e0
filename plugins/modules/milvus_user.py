#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: a user."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_user
short_description: Keeps a user of Milvus, its password and its roles
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Makes, changes or drops a user. Roles that are not named are taken away; where O(roles) is left
    out, those of the spec are kept, or those that the user has.
  - The password is tried by logging in, so that a second run changes nothing.
extends_documentation_fragment:
  - kitestring.milvus.spec
  - kitestring.milvus.object
options:
  name:
    description: The user's name.
    type: str
    required: true
  password:
    description: The password; that of the spec by default.
    type: str
  update_password:
    description: V(on_create) leaves the password of a user that is there as it is.
    type: str
    choices: [always, on_create]
    default: always
  roles:
    description: The user's roles.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: The application
  kitestring.milvus.milvus_user:
    spec: /etc/kitestring/prod.yaml
    name: app
    password: "{{ vault_app_password }}"
    roles: [reader]
"""

RETURN = r"""
before:
  description: The user, without its password before; empty where it was not there.
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
    """Keeps the user."""
    from kitestring.enforce.objects import keep_object

    asked = module.params
    kept = keep_object(
        loaded,
        "user",
        {"name": asked["name"], "roles": asked["roles"]},
        password=asked["password"],
        keep=["password"] if asked["update_password"] != "always" else [],  # noqa: S105
        **object_options(module),
    )
    return object_result(kept)


def main():
    """Runs the module."""
    run_module(
        work,
        name={"type": "str", "required": True},
        password={"type": "str", "no_log": True},
        update_password={
            "type": "str",
            "choices": ["always", "on_create"],
            "default": "always",
            "no_log": False,
        },
        roles={"type": "list", "elements": "str"},
        state=STATE,
    )


if __name__ == "__main__":
    main()
