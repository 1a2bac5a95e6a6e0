#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: what a spec and its cluster say of themselves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_info
short_description: Facts of a spec, of the host's cron, and of the cluster
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Returns the cron entries that the times of the spec come to, and whether this host's cron would
    run them, so that nothing of it is described a second time in variables.
  - With V(server) in O(gather), also what the server is and holds.
extends_documentation_fragment: kitestring.milvus.spec
options:
  gather:
    description: What to look at. Only V(server) asks the server.
    type: list
    elements: str
    choices: [schedule, server]
    default: [schedule]
  unit_folder:
    description:
      - Where systemd units are. By default C(day2.units) of the spec; without it
        C(/etc/systemd/system) for root and the user's own folder for others.
    type: path
  upgrade_to:
    description:
      - A version of Milvus, such as V(2.5.16). Asks the server which one it runs, and tells whether
        a live cluster may go from that to this.
    type: str
"""

EXAMPLES = r"""
- name: See when cron would make backups
  kitestring.milvus.milvus_info:
    spec: /etc/kitestring/prod.yaml
  register: info

- name: Show the line
  ansible.builtin.debug:
    var: info.schedule.backup.line
"""

RETURN = r"""
cluster:
  description: Name of the cluster.
  returned: success
  type: str
spec_file:
  description: Absolute path of the spec.
  returned: success
  type: str
schedule:
  description: The cron entries of C(compaction), C(backup), C(drill), C(embedding) and C(drift).
  returned: with V(schedule) in O(gather)
  type: dict
cron:
  description: Whether the user may write a crontab (C(usable)), whether a daemon runs, and why not.
  returned: with V(schedule) in O(gather)
  type: dict
timers:
  description:
    - The same as systemd units, each with C(unit), C(when), and path and text of its C(service)
      and C(timer); C(written) tells whether one is there.
  returned: with V(schedule) in O(gather)
  type: dict
systemd:
  description: Whether systemd runs (C(running)), in which C(scope) for this user, and why not.
  returned: with V(schedule) in O(gather)
  type: dict
secrets_of_environment:
  description: Variables that the spec takes secrets from, and that cron does not have.
  returned: with V(schedule) in O(gather)
  type: list
  elements: str
upgrade:
  description:
    - Whether the step is C(allowed), with C(reason) and C(hint) where it is not, and C(notes).
    - C(order) has the roles in the order in which they roll.
  returned: with O(upgrade_to)
  type: dict
server:
  description: Version of the server, and its collections with rows and load state and aliases.
  returned: with V(server) in O(gather)
  type: dict
code:
  description: The kind of the failure, such as C(spec.invalid).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import run_module


def work(module, loaded):
    """Collects the facts asked for."""
    from kitestring.enforce.facts import schedule_facts, server_facts, upgrade_facts

    wanted = module.params["upgrade_to"]

    return {
        "cluster": loaded.spec.cluster.name,
        "spec_file": str(loaded.file.resolve()),
        **(
            schedule_facts(loaded, module.params["unit_folder"])
            if "schedule" in module.params["gather"]
            else {}
        ),
        **({"server": server_facts(loaded)} if "server" in module.params["gather"] else {}),
        **({"upgrade": upgrade_facts(loaded, wanted)} if wanted else {}),
    }


def main():
    """Runs the module."""
    run_module(
        work,
        gather={
            "type": "list",
            "elements": "str",
            "choices": ["schedule", "server"],
            "default": ["schedule"],
        },
        unit_folder={"type": "path"},
        upgrade_to={"type": "str"},
    )


if __name__ == "__main__":
    main()
