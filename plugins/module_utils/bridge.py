# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""From an Ansible module to the kitestring library, and from its errors to `fail_json`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from kitestring.errors import KitestringError
    from kitestring.spec.load import load

    MISSING = None
except ImportError as error:
    KitestringError = Exception
    MISSING = str(error)

INSTALL = (
    "install it for this interpreter (pip install kitestring), or let ansible_python_interpreter "
    "name one that has it"
)


def run_module(work: Callable[[AnsibleModule, Any], dict], **options: dict) -> None:
    """Runs `work(module, loaded_spec)` and exits with the dict that it returns.

    A failure carries `code` and `hint` beside `msg`; the codes are those of kitestring's errors.
    """
    module = AnsibleModule(
        argument_spec={
            "spec": {"type": "path", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            **options,
        },
        supports_check_mode=True,
    )
    if MISSING is not None:
        module.fail_json(
            msg=f"{missing_required_lib('kitestring')} {MISSING}. hint: {INSTALL}",
            code="ansible.library-missing",
            hint=INSTALL,
        )
    for name, value in module.params["secrets"].items():
        os.environ[name] = str(value)
    try:
        result = work(module, load(Path(module.params["spec"]).absolute()))
    except KitestringError as error:
        fail(module, error.message, error.code, error.hint, subject=error.subject)
    module.exit_json(**{"changed": False, **result})


def fail(module: AnsibleModule, message: str, code: str, hint: str = "", **more: Any) -> None:
    """Ends the module in failure."""
    text = f"{message}. hint: {hint}" if hint else message
    module.fail_json(msg=text, code=code, hint=hint, **more)


def diff_of(actions: list, header: str) -> dict:
    """The diff of steps: each subject with what it is and what it becomes."""
    return {
        "before_header": header,
        "after_header": header,
        "before": "".join(f"{a.subject}: {a.before}\n" for a in actions),
        "after": "".join(f"{a.subject}: {a.after}\n" for a in actions),
    }


STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
LOSS = {"type": "bool", "default": False}


def object_options(module: AnsibleModule) -> dict:
    """What all modules of one object hand to the library."""
    return {
        "present": module.params["state"] == "present",
        "allow_data_loss": module.params.get("allow_data_loss") or False,
        "dry_run": module.check_mode,
    }


def texts(values: dict | None) -> dict | None:
    """Properties as Milvus keeps them: as text, booleans in lower case."""
    if values is None:
        return None
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in values.items()}


def object_result(kept: Any) -> dict:
    """The result of keeping one object, from the library's `KeptObject`."""
    before, after = kept.before or {}, kept.after or {}
    return {
        "changed": kept.changed,
        "before": before,
        "after": after,
        "differences": list(kept.differences),
        "diff": {
            "before_header": kept.identity,
            "after_header": kept.identity,
            "before": _shown(before),
            "after": _shown(after),
        },
    }


def _shown(props: dict) -> str:
    return "".join(f"{key}: {value}\n" for key, value in sorted(props.items()))
