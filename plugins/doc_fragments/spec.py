# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""What all modules of the collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """The options `spec` and `secrets`, and the check and diff modes."""

    DOCUMENTATION = r"""
options:
  spec:
    description:
      - Path of the cluster's spec on the managed host.
      - A relative path starts at the working directory of the module.
    type: path
    required: true
  secrets:
    description:
      - Values for the environment variables that the spec takes secrets from, such as a token
        from a vault. They are set for this module only, and never shown.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Says what would be done and does nothing.
    support: full
  diff_mode:
    description: Shows what differs before and after.
    support: full
requirements:
  - The Python package kitestring, for the interpreter that runs the module.
"""
