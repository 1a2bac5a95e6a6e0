"""A stack: the cluster of a spec and what is inside of it, from the stack's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pulumi

from kitestring.capacity.plan import plan, require
from kitestring.clients.secrets import read_secret
from kitestring.errors import KitestringError, UsageError
from kitestring.manifests.base import Bundle
from kitestring.manifests.load import load_bundle
from kitestring.provision.cluster import MilvusCluster, MilvusClusterArgs
from kitestring.provision.objects.component import MilvusObjects, MilvusObjectsArgs
from kitestring.provision.preflight import require_preflight
from kitestring.provision.readable import said
from kitestring.provision.root_resource import RootPassword
from kitestring.provision.target import kubernetes_provider, root_way, target_of
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec


@contextmanager
def explained() -> Iterator[None]:
    """A user's mistake ends the program with its message and hint, and without a traceback."""
    try:
        yield
    except KitestringError as error:
        raise pulumi.RunError(said(error)) from None


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of a stack (`pulumi config`). Paths are relative to `infra/`."""

    spec: Path
    context: str = ""
    kubeconfig: str = ""
    preflight: bool = True
    objects: bool = True

    @classmethod
    def read(cls, config: pulumi.Config) -> Settings:
        """From the stack's configuration.

        Raises:
            UsageError: `spec` is not set.
        """
        spec = config.get("spec")
        if not spec:
            raise UsageError(
                f"the stack {pulumi.get_stack()} names no spec",
                hint="pulumi config set kitestring:spec clusters/NAME.yaml",
            )

        def flag(name: str) -> bool:
            found = config.get_bool(name)
            return True if found is None else found

        return cls(
            spec=Path(spec).expanduser(),
            context=config.get("context") or "",
            kubeconfig=config.get("kubeconfig") or "",
            preflight=flag("preflight"),
            objects=flag("objects"),
        )


class MilvusStack:
    """What a spec provisions: the cluster, the password of root, the objects inside of Milvus."""

    def __init__(self, settings: Settings) -> None:
        """
        Raises:
            KitestringError: the spec or the cluster does not allow it; nothing has been declared.
        """
        loaded = load(settings.spec)
        self.spec, self.file = loaded.spec, str(settings.spec)
        require(plan(loaded.spec))
        bundle = load_bundle(loaded)
        target = target_of(loaded, context=settings.context, kubeconfig=settings.kubeconfig)
        references = _references(loaded, bundle)

        if settings.preflight:
            for problem in require_preflight(loaded, target.context, target.kubeconfig, bundle):
                pulumi.log.warn(problem.text + (f"\nhint: {problem.hint}" if problem.hint else ""))

        name = loaded.spec.cluster.name
        provider = kubernetes_provider(name, target)
        args = MilvusClusterArgs.from_spec(
            loaded.spec, target=target, references=references, bundle=bundle
        )
        self.cluster = MilvusCluster(name, args, pulumi.ResourceOptions(providers=[provider]))
        self.root = RootPassword(
            f"{name}-root-password",
            root_way(loaded, target).plain(),
            self.cluster.secrets[args.root_secret].values["password"],
            pulumi.ResourceOptions(parent=self.cluster, depends_on=self.cluster.serving),
        )
        if settings.objects:
            inside = MilvusObjectsArgs(
                loaded,
                after=[self.root],
                deleted_with=self.cluster.server,
                context=target.context,
                kubeconfig=target.kubeconfig,
            )
            self.objects = MilvusObjects(f"{name}-objects", inside)


def _references(loaded: LoadedSpec, bundle: Bundle) -> dict[str, dict[str, str]]:
    """The values that the spec names, by Secret and placeholder; read now, kept encrypted."""
    return {
        plan.name: {name: read_secret(loaded, reference) for name, reference in plan.refs.items()}
        for plan in bundle.secrets
        if plan.refs
    }
