"""Values of the Secrets that a deployment plans. They are made here, and nowhere else.

A Secret that is in the cluster wins: its passwords are what the data behind them knows.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kitestring.errors import ProvisionError
from kitestring.manifests.base import SecretPlan
from kitestring.provision.certificates import KEYS, certificates
from kitestring.spec.types import SecretRef

Resolve = Callable[[SecretRef], str]
Existing = Callable[[SecretPlan], Mapping[str, str] | None]

# letters and digits: safe in `user:password`, in URLs, in shells and in every client
_ALPHABET = string.ascii_letters + string.digits
_WELL_KNOWN = frozenset({"milvus", "minioadmin", "root", "admin", "password"})
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def values(
    plan: SecretPlan,
    existing: Mapping[str, str] | None,
    resolve: Resolve,
) -> dict[str, str]:
    """The values of a planned Secret, by key.

    Args:
        existing: the values that the cluster has under that name; None or empty where it has none.
        resolve: reads a secret that the spec names.

    Values that were made are adopted from `existing`; those that the spec names are read anew, so
    that a rotated key arrives. A certificate is renewed when it has to be.

    Raises:
        ProvisionError: some keys of the Secret are there and others are not.
        SecretMissing: a secret that the spec names can't be read.
    """
    if plan.certificate is not None:
        there = {key: existing[key] for key in KEYS if existing and existing.get(key)}
        _complete(plan, there, KEYS)
        return certificates(plan.certificate, there).values()
    given = {name: _read(plan, name, resolve) for name in plan.refs}
    own = {key: text for key, text in plan.entries.items() if not _uses(text, plan.refs)}
    adopted = {key: existing[key] for key in own if existing and existing.get(key)}
    if not plan.grows:
        _complete(plan, adopted, own)
    made = {name: _random(length) for name, length in plan.random.items()}
    filled = given | made
    return {
        key: adopted.get(key) or _PLACEHOLDER.sub(lambda m: filled[m[1]], text)
        for key, text in plan.entries.items()
    }


def secret_manifest(plan: SecretPlan, data: Mapping[str, str]) -> dict[str, Any]:
    """The Secret itself, its values in clear: for the API server, not for a file that stays."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": plan.name, "namespace": plan.namespace, "labels": dict(plan.labels)},
        "type": plan.type,
        "stringData": dict(data),
    }


def secret_manifests(
    plans: Iterable[SecretPlan], resolve: Resolve, existing: Existing = lambda plan: None
) -> tuple[dict[str, Any], ...]:
    """The Secrets of a deployment as manifests, for `kitestring provision secrets`.

    Args:
        existing: asks the cluster for the values of a Secret that is there.

    Raises:
        ProvisionError, SecretMissing: as `values`.
    """
    return tuple(secret_manifest(plan, values(plan, existing(plan), resolve)) for plan in plans)


def _complete(plan: SecretPlan, there: Mapping[str, str], keys: Iterable[str]) -> None:
    """Either all of the keys are there, or none.

    Raises:
        ProvisionError: some are missing.
    """
    missing = [key for key in keys if key not in there]
    if there and missing:
        raise ProvisionError(
            f"the Secret `{plan.namespace}/{plan.name}` has no `{'`, `'.join(missing)}`, but other "
            "keys that belong to it",
            hint="add what is missing; delete the Secret only where no data depends on it",
            subject=plan.name,
        )


def _read(plan: SecretPlan, name: str, resolve: Resolve) -> str:
    value = resolve(plan.refs[name])
    if not value:
        source = plan.refs[name].env or plan.refs[name].file
        raise ProvisionError(
            f"the secret `{source}` for `{name}` of `{plan.name}` is empty", subject=plan.name
        )
    return value


def _uses(text: str, names: Iterable[str]) -> bool:
    return bool(set(_PLACEHOLDER.findall(text)) & set(names))


def _random(length: int) -> str:
    while True:
        made = "".join(secrets.choice(_ALPHABET) for _ in range(length))
        if made.lower() not in _WELL_KNOWN:
            return made
