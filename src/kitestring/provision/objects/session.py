"""The session of one run of the engine, with what the stack's configuration allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from kitestring.errors import ProvisionError
from kitestring.objects.base import ADOPT, ALLOW, Props
from kitestring.objects.session import LiveSession


def session_for(props: Props, setting: Callable[[str], Any]) -> LiveSession:
    """The session of a resource.

    Args:
        setting: gives the stack's configuration by key.

    Raises:
        ProvisionError: the configuration is not of the form expected.
    """
    return LiveSession(
        props["connection"], names(ALLOW, setting(ALLOW)), names(ADOPT, setting(ADOPT))
    )


def names(key: str, value: Any) -> frozenset[str]:
    """The ids that a list of the stack's configuration names.

    Raises:
        ProvisionError: it is no list of texts.
    """
    if value is None:
        return frozenset()
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if isinstance(found, Mapping) or not isinstance(found, list | tuple):
        raise ProvisionError(
            f"the stack's `{key}` is no list of ids",
            hint=f"pulumi config set --path '{key}[0]' DATABASE/COLLECTION",
        )
    return frozenset(map(str, found))
