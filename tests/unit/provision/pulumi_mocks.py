"""What a program declares, without an engine: every resource, its inputs and its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings

PASSWORD = "generated-Pa55word-of-root"


def opened(value: Any) -> Any:
    """A value without the marks of what is secret in it."""
    if isinstance(value, Mapping):
        if "4dabf18193072939515e22adb298388d" in value:
            return opened(value.get("value"))
        return {key: opened(item) for key, item in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


@dataclass
class Declared:
    """One resource as the engine was told of it."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    request: Any  # the whole RegisterResourceRequest

    @property
    def kind(self) -> str:
        return self.type.rpartition(":")[2]

    @property
    def kubernetes_name(self) -> str:
        return str(self.inputs["metadata"]["name"])

    @property
    def depends_on(self) -> set[str]:
        """Names of the resources that have to be there first."""
        return {urn.rpartition("::")[2] for urn in self.request.dependencies}

    @property
    def waits_for(self) -> set[str]:
        """Kind/name of the resources that have to be there first."""
        parts = (urn.split("::") for urn in self.request.dependencies)
        return {f"{kind.rpartition(':')[2]}/{name}" for _, _, kind, name in parts}


class Recorder(pulumi.runtime.Mocks):
    """Gives back what it is given, and values for the Secrets."""

    def __init__(self, revision: float | None) -> None:
        super().__init__()
        self.revision = revision  # of every Secret; the engine's numbers are floats

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ.endswith(":SecretValues"):
            outputs["values"] = {"password": PASSWORD, "username": "root"}
            outputs["revision"] = self.revision
        return f"{args.name}-id", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}


@dataclass
class Program:
    """Runs programs under mocks; `resources` are those of the last one."""

    revision: float | None = 1.0
    resources: list[Declared] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def run(self, program: Callable[[], Any], config: Mapping[str, str] | None = None) -> Program:
        """Runs a program to its end.

        Raises:
            Exception: what the program raised.
        """
        self.resources.clear()
        self.outputs.clear()
        pulumi.runtime.set_mocks(
            Recorder(self.revision), project="kitestring", stack="test", preview=False
        )
        pulumi.runtime.set_all_config({f"kitestring:{k}": v for k, v in (config or {}).items()})
        monitor = settings.SETTINGS.monitor
        assert isinstance(monitor, mocks.MockMonitor)
        register = monitor.RegisterResource

        def recorded(request: Any) -> Any:
            inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
            self.resources.append(Declared(request.type, request.name, inputs, request))
            return register(request)

        monitor.RegisterResource = recorded  # type: ignore[method-assign]

        def whole() -> pulumi.Output[None]:
            program()
            exported = dict(pulumi.runtime.get_root_resource().outputs)
            return pulumi.Output.all(**exported).apply(self.outputs.update)

        pulumi.runtime.test(whole)()
        return self

    def of(self, kind: str) -> list[Declared]:
        """The resources of a kind, such as `StatefulSet`."""
        return [r for r in self.resources if r.kind == kind]

    def one(self, kind: str, name: str) -> Declared:
        """The Kubernetes object of a kind and name."""
        (found,) = [r for r in self.of(kind) if r.kubernetes_name == name]
        return found
