# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible inventory: clusters out of specs and Pulumi stacks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: clusters
short_description: Lists Milvus clusters out of Kitestring specs and Pulumi stacks
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Each cluster is a host with the name of C(cluster.name) of its spec, in the group O(group) and
    in one for its environment, such as C(kitestring_prod).
  - A host has the variables C(kitestring_spec) (the absolute path on the control node),
    C(kitestring_cluster), C(kitestring_environment), C(kitestring_endpoint) and
    C(kitestring_outputs) (what the stack exports), as far as they are known.
  - Only files are read and, for O(stacks), a local command is run. No cluster is asked.
  - Its configuration is a YAML file whose name ends with C(clusters.yml), C(clusters.yaml),
    C(kitestring.yml) or C(kitestring.yaml).
extends_documentation_fragment:
  - constructed
requirements:
  - The Python package kitestring, for the interpreter that runs Ansible.
options:
  plugin:
    description: Has to be V(kitestring.milvus.clusters).
    type: str
    required: true
    choices: [kitestring.milvus.clusters]
  specs:
    description:
      - Paths of specs; C(*) and C(**) stand for several. Relative ones start at the inventory file.
    type: list
    elements: str
    default: []
  stacks:
    description:
      - Pulumi stacks whose outputs tell of a cluster (C(cluster) or C(spec), C(endpoint),
        C(environment)). What a stack and a spec say of the same cluster is put together.
      - Each has one of C(stack) (a name; C(pulumi stack output --json) is run), C(command) (a list;
        any command that prints the same) and C(outputs) (a file of it); C(program), the folder of
        the Pulumi program, where the command runs and relative paths start; and C(spec), where the
        outputs do not name one.
    type: list
    elements: dict
    default: []
  group:
    description: The group that all clusters are in.
    type: str
    default: kitestring
  local:
    description:
      - Clusters are kept from the control node, by the interpreter that runs Ansible. Turn it off
        where C(host_vars) or O(compose) say which host is connected to, and which interpreter has
        kitestring there.
    type: bool
    default: true
"""

EXAMPLES = r"""
# inventories/fleet/clusters.yml: every spec of a folder
plugin: kitestring.milvus.clusters
specs:
  - ../../infra/clusters/*.yaml

# ---
# Stacks of a Pulumi program, kept from an ops host of each environment
# plugin: kitestring.milvus.clusters
# stacks:
#   - {stack: dev, program: ../../infra}
#   - {stack: prod, program: ../../infra}
# local: false
# compose:
#   ansible_host: "'ops-' ~ kitestring_environment ~ '.example.com'"
#   kitestring_spec: "'/etc/kitestring/' ~ kitestring_cluster ~ '.yaml'"
"""

import sys
from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

NAMES = ("clusters.yml", "clusters.yaml", "kitestring.yml", "kitestring.yaml")


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Hosts and groups, from the library's list of clusters."""

    NAME = "kitestring.milvus.clusters"

    def verify_file(self, path):
        """Whether the file is a configuration of this plugin, by its name."""
        return super().verify_file(path) and path.endswith(NAMES)

    def parse(self, inventory, loader, path, cache=True):
        """Adds the clusters to the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        group = self.inventory.add_group(self.get_option("group"))
        for cluster in self._clusters(Path(path).resolve().parent):
            host, variables = cluster.name, cluster.variables()
            self.inventory.add_host(host, group)
            if cluster.environment:
                of = self.inventory.add_group(f"{group}_{cluster.environment}")
                self.inventory.add_child(group, of)
                self.inventory.add_host(host, of)
            if self.get_option("local"):
                variables["ansible_connection"] = "local"
                variables["ansible_python_interpreter"] = sys.executable
            for name, value in variables.items():
                self.inventory.set_variable(host, name, value)
            strict = self.get_option("strict")
            self._set_composite_vars(self.get_option("compose"), variables, host, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, host, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host, strict)

    def _clusters(self, base):
        try:
            from kitestring.enforce.inventory import list_clusters
            from kitestring.errors import KitestringError
        except ImportError as error:
            raise AnsibleParserError(
                f"the inventory {self.NAME} needs the Python package kitestring for "
                f"{sys.executable}: {error}. hint: pip install kitestring"
            ) from None
        try:
            return list_clusters(self.get_option("specs"), self.get_option("stacks"), base)
        except KitestringError as error:
            hint = f". hint: {error.hint}" if error.hint else ""
            raise AnsibleParserError(f"{error.code}: {error.message}{hint}") from None
