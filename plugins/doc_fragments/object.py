# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What the modules of one object inside Milvus share."""

from __future__ import annotations


class ModuleDocFragment:
    """The option `state`."""

    DOCUMENTATION = r"""
options:
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
"""
