"""The clusters that an estate has, out of spec files and the outputs of Pulumi stacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import Any

from kitestring.errors import SpecNotFound, UsageError
from kitestring.provision.outputs import StackSource, stack_outputs
from kitestring.spec.load import load
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True, slots=True)
class ListedCluster:
    """One cluster. `spec` is an absolute path, or empty where only a stack is known."""

    name: str
    environment: str = ""
    spec: str = ""
    endpoint: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)

    def variables(self) -> dict[str, Any]:
        """As variables of a host; without those that are not known."""
        known = {
            "kitestring_cluster": self.name,
            "kitestring_environment": self.environment,
            "kitestring_spec": self.spec,
            "kitestring_endpoint": self.endpoint,
            "kitestring_outputs": dict(self.outputs),
        }
        return {name: value for name, value in known.items() if value}


def list_clusters(
    patterns: Sequence[str], stacks: Iterable[Mapping[str, Any]], base: Path
) -> list[ListedCluster]:
    """All clusters, in the order of their names; one that has a spec and a stack is one.

    A spec is read as its file says: `KITESTRING__…` of the environment is for one cluster.

    Args:
        patterns: paths of specs, with `*` and `**` where they stand for several.
        stacks: keyword arguments of `StackSource`; `program` is the base by default.
        base: the folder where relative paths start.

    Raises:
        SpecNotFound: a pattern stands for no file.
        SpecInvalid: a spec has errors.
        UsageError: two specs are of one cluster, or a stack does not tell of which it is.
        ProvisionError: the outputs of a stack can't be had.
    """
    found: dict[str, ListedCluster] = {}
    for file in _files(patterns, base):
        one = _of_spec(load(file, {}))
        _refuse_twice(found.get(one.name), one)
        found[one.name] = one
    for stack in stacks:
        source = _source(stack, base)
        one = _of_stack(source, found)
        _refuse_twice(found.get(one.name), one)
        found[one.name] = one
    return [found[name] for name in sorted(found)]


def _files(patterns: Sequence[str], base: Path) -> list[Path]:
    files: dict[Path, None] = {}
    for pattern in patterns:
        # Path.glob takes no absolute pattern
        matches = sorted(glob(str(base / Path(pattern).expanduser()), recursive=True))  # noqa: PTH207
        if not matches:
            raise SpecNotFound(
                f"there is no spec at {base / pattern}",
                hint="relative paths start at the inventory file",
                subject=pattern,
            )
        files |= {Path(match).resolve(): None for match in matches if not Path(match).is_dir()}
    return list(files)


def _of_spec(loaded: LoadedSpec) -> ListedCluster:
    spec = loaded.spec
    return ListedCluster(
        name=spec.cluster.name,
        environment=spec.cluster.environment,
        spec=str(loaded.file.resolve()),
        endpoint=spec.connection.uri or "",
    )


def _source(stack: Mapping[str, Any], base: Path) -> StackSource:
    given = {key: value for key, value in stack.items() if value}
    unknown = given.keys() - set(StackSource.__dataclass_fields__)
    if unknown:
        raise UsageError(
            f"a stack has no {', '.join(f'`{key}`' for key in sorted(unknown))}",
            hint=f"it may have {', '.join(StackSource.__dataclass_fields__)}",
        )
    program = (base / Path(str(given.pop("program", "."))).expanduser()).resolve()
    command = given.pop("command", ())
    return StackSource(program, command=tuple(map(str, command)), **given)


def _of_stack(source: StackSource, found: Mapping[str, ListedCluster]) -> ListedCluster:
    """The cluster of a stack, over what its spec says of it."""
    outputs = stack_outputs(source)
    spec, name = source.spec or outputs.get("spec"), outputs.get("cluster")
    told = ListedCluster(str(name or ""), str(outputs.get("environment") or ""))
    if spec:
        told = _of_spec(load((source.program / Path(str(spec)).expanduser()).resolve(), {}))
    elif name in found:
        told = found[str(name)]
    if not told.name:
        raise UsageError(
            f"{source} does not tell of which cluster it is",
            hint="export `cluster` or `spec` in the program, or name its spec here: spec: FILE",
            subject=str(source),
        )
    return replace(told, endpoint=str(outputs.get("endpoint") or told.endpoint), outputs=outputs)


def _refuse_twice(there: ListedCluster | None, one: ListedCluster) -> None:
    """Two files of one name would be two wills for one cluster; two stacks, one host for two."""
    if there is None or (there.spec == one.spec and not there.outputs):
        return
    raise UsageError(
        f"the cluster `{one.name}` is listed twice: by {there.spec or 'a stack'} and by "
        f"{one.spec or 'another stack'}",
        hint="give each cluster a name of its own (`cluster.name`), or list it once",
        subject=one.name,
    )
