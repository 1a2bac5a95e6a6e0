# Copyright: the Kitestring authors
# Apache License 2.0 (see LICENSE or https://www.apache.org/licenses/LICENSE-2.0)
"""From an Ansible module to the kitestring library, and from its errors to `fail_json`."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

INSTALL = (
    "install it for this interpreter (pip install kitestring), or let ansible_python_interpreter "
    "name one that has it"
)

FAULT = "this is a fault of kitestring; report what -vvv prints"


def run_module(
    work: Callable[[AnsibleModule, Any], dict], *, observed: str = "", **options: dict
) -> None:
    """Runs `work(module, loaded_spec)` and exits with the dict that it returns.

    A failure carries `code` and `hint` beside `msg`; the codes are those of kitestring's errors.

    Args:
        observed: the task of `kitestring.enforce.look` that this is; where the option
            `observation` names a look that found nothing to do for it, that is the answer.
        options: what the module takes beside `spec` and `secrets`.
    """
    module = AnsibleModule(
        argument_spec={
            "spec": {"type": "path", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            **({"observation": {"type": "path"}} if observed else {}),
            **options,
        },
        supports_check_mode=True,
    )
    try:
        from kitestring.enforce.observation import forget, recall
    except ImportError as error:
        module.fail_json(
            msg=f"{missing_required_lib('kitestring')} {error}. hint: {INSTALL}",
            code="ansible.library-missing",
            hint=INSTALL,
        )
    spec = Path(module.params["spec"]).absolute()
    usual = all(module.params[name] == one.get("default") for name, one in options.items())
    if observed and usual and module.params["observation"]:
        answer = recall(Path(module.params["observation"]), spec, observed)
        if answer is not None:
            module.exit_json(**_warned(module, answer))
    os.environ.update({k: str(v) for k, v in module.params["secrets"].items() if v is not None})

    # the above takes no time to import; this does
    from kitestring.errors import KitestringError
    from kitestring.segments.memory import lean_arrow
    from kitestring.spec.load import load

    lean_arrow()

    try:
        loaded = load(spec)
        changed = not module.check_mode
        try:
            result = {"changed": False, **work(module, loaded)}
            changed = changed and result["changed"]
        finally:
            if changed:
                forget(loaded)
    except KitestringError as error:
        fail(module, error.message, error.code, error.hint, subject=error.subject)
    except Exception as error:  # noqa: BLE001 - Ansible would print what has secrets in it
        trace = traceback.format_exc()
        said = f"internal error: {type(error).__name__}: {error}"
        fail(module, said, "internal", FAULT, exception=trace)
    module.exit_json(**_warned(module, result))


def _warned(module: AnsibleModule, answer: dict) -> dict:
    """Without its warnings, which are given."""
    for line in answer.pop("warnings", ()):
        module.warn(line)
    return answer


def fail(module: AnsibleModule, message: str, code: str, hint: str = "", **more: Any) -> None:
    """Ends the module in failure."""
    text = f"{message}. hint: {hint}" if hint else message
    module.fail_json(msg=text, code=code, hint=hint, **_warned(module, more))


STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
LOSS = {"type": "bool", "default": False}


def object_options(module: AnsibleModule) -> dict:
    """What all modules of one object hand to the library."""
    return {
        "present": module.params["state"] == "present",
        "allow_data_loss": module.params.get("allow_data_loss") or False,
        "dry_run": module.check_mode,
    }


def seconds(module: AnsibleModule, name: str) -> float | None:
    """A duration that is given as text, such as `90s`; None where it is not given.

    Raises:
        UsageError: the text is no duration.
    """
    from kitestring.errors import UsageError
    from kitestring.spec.types import parse_duration

    given = module.params[name]
    try:
        return None if given is None else parse_duration(given)
    except ValueError as error:
        raise UsageError(f"`{name}`: `{given}` is {error}") from None


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
        "warnings": list(kept.warnings),
        "diff": {
            "before_header": kept.identity,
            "after_header": kept.identity,
            "before": _shown(before),
            "after": _shown(after),
        },
    }


def _shown(props: dict) -> str:
    return "".join(f"{key}: {value}\n" for key, value in sorted(props.items()))
