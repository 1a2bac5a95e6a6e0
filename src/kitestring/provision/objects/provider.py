"""The dynamic provider. Pulumi writes a pickle of it into the state: the class by its name, and the
kind's name. Nothing else may become an attribute of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from kitestring.provision.readable import readable

if TYPE_CHECKING:
    from kitestring.objects.base import Kind, Session

_settings: list[Callable[[str], Any]] = []  # of the stack; the process serves one


class ObjectProvider(ResourceProvider):
    """Serves the resources of one kind (see `kinds.KINDS`)."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def configure(self, req: ConfigureRequest) -> None:
        _settings[:] = [req.config.get]

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        from kitestring.provision.objects import lifecycle

        with readable():
            kind, old, new = _kind(self.kind), _clean(_olds), _clean(news)
            inputs, problems = lifecycle.check(kind, _session(new), old, new)
            return CheckResult(inputs, [CheckFailure(what, why) for what, why in problems])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        from kitestring.provision.objects import lifecycle

        with readable():
            found = lifecycle.diff(_kind(self.kind), _clean(_olds), _clean(_news))
            return DiffResult(
                changes=found.changed, replaces=list(found.replaces), delete_before_replace=True
            )

    def create(self, props: dict[str, Any]) -> CreateResult:
        from kitestring.provision.objects import lifecycle

        with readable():
            wanted = _clean(props)
            identity, outs = lifecycle.create(_kind(self.kind), _session(wanted), wanted)
            return CreateResult(identity, outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        from kitestring.errors import KubernetesError, SecretMissing, ServerUnreachable
        from kitestring.provision.objects import lifecycle

        with readable():
            known = _clean(props)
            try:
                found = lifecycle.read(_kind(self.kind), _session(known), id_, known)
            except (KubernetesError, SecretMissing, ServerUnreachable) as error:
                if "forward" not in known.get("connection", {}):
                    raise
                # a deployment that is down is for the same `pulumi up` to mend
                pulumi.log.warn(f"{self.kind} `{id_}` was not looked at: {error.message}")
                return ReadResult(id_, known)
            if found is None:
                return ReadResult("", {})
            inputs = {k: v for k, v in found.items() if k not in lifecycle.COMPUTED}
            return ReadResult(id_, dict(found), inputs)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        from kitestring.provision.objects import lifecycle

        with readable():
            old, new = _clean(_olds), _clean(_news)
            return UpdateResult(lifecycle.update(_kind(self.kind), _session(new), old, new))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        from kitestring.provision.objects import lifecycle

        with readable():
            props = _clean(_props)
            lifecycle.delete(_kind(self.kind), _session(props), props)


def _kind(name: str) -> Kind:
    from kitestring.provision.objects.kinds import KINDS

    return KINDS[name]


def _session(props: dict[str, Any]) -> Session:
    from kitestring.provision.objects.session import session_for

    return session_for(props, _settings[0] if _settings else lambda _: None)


def _clean(props: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = _whole({k: v for k, v in props.items() if not k.startswith("__")})
    return cleaned


def _whole(value: Any) -> Any:
    """Numbers go through the engine as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return value
