#!/usr/bin/python
# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""Ansible module: drift detection."""

from __future__ import annotations

DOCUMENTATION = r"""
module: milvus_drift
short_description: Compares a cluster with its spec
version_added: 0.1.0
author: The Kitestring authors (@kitestring)
description:
  - Runs the checks of C(kitestring drift) and returns what they find. The cluster is not changed,
    and so the module never says that it is; a O(report) is written anew each time.
extends_documentation_fragment: kitestring.milvus.spec
options:
  only:
    description: Ids or families of checks, such as V(index.drift) or V(index); none for all.
    type: list
    elements: str
    default: []
  rows:
    description: Read all rows, for the checks that need them.
    type: bool
    default: true
  baseline:
    description: A file that C(kitestring drift --write-baseline) wrote; what it names is not new.
    type: path
  report:
    description: Where a report is written on the managed host, but for check mode; none by default.
    type: path
  report_format:
    description: The format of the report.
    type: str
    choices: [text, json, junit, sarif, markdown, html, prometheus]
    default: html
  fail_on_drift:
    description: Fail when the verdict is V(fail).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Look for drift of indexes and aliases
  kitestring.milvus.milvus_drift:
    spec: /etc/kitestring/prod.yaml
    only: [index, alias]
    rows: false
  register: drift

- name: Write a page of everything that differs
  kitestring.milvus.milvus_drift:
    spec: /etc/kitestring/prod.yaml
    report: /var/www/drift.html
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(inconclusive).
  returned: always, once the cluster was observed
  type: str
findings:
  description: What was found, the gravest first.
  returned: always, once the cluster was observed
  type: list
  elements: dict
code:
  description: The kind of the failure; C(drift.found) for drift with O(fail_on_drift).
  returned: failure
  type: str
hint:
  description: What to do about a failure.
  returned: failure
  type: str
"""

from ansible_collections.kitestring.milvus.plugins.module_utils.bridge import fail, run_module


def work(module, loaded):
    """Observes and compares."""
    from pathlib import Path

    from kitestring.clients.textfile import write_whole
    from kitestring.drift import compare
    from kitestring.model.evidence import Evidence
    from kitestring.render.formats import rendered_drift

    asked = module.params
    report = compare(
        loaded,
        baseline_file=Path(asked["baseline"]) if asked["baseline"] else None,
        only=asked["only"],
        without=[] if asked["rows"] else [Evidence.ROWS],
    )
    if asked["report"] and not module.check_mode:
        write_whole(Path(asked["report"]), rendered_drift(report, asked["report_format"]))
    answer = {
        "verdict": report.verdict.value,
        "findings": [f.as_dict() for f in report.findings],
    }
    if report.exit_code == 2 and asked["fail_on_drift"]:
        told = "; ".join(f"{f.subject}: {f.message}" for f in report.counted)
        fail(module, told, "drift.found", "kitestring drift", **answer)
    return answer


def main():
    """Runs the module."""
    run_module(
        work,
        only={"type": "list", "elements": "str", "default": []},
        rows={"type": "bool", "default": True},
        fail_on_drift={"type": "bool", "default": False},
        baseline={"type": "path"},
        report={"type": "path"},
        report_format={
            "type": "str",
            "choices": ["text", "json", "junit", "sarif", "markdown", "html", "prometheus"],
            "default": "html",
        },
    )


if __name__ == "__main__":
    main()
