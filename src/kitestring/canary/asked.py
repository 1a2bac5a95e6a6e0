"""Which collections `kitestring embedding` looks at: more than a spec asks of drift runs."""

from __future__ import annotations

from dataclasses import replace

from kitestring.canary.store import sign_off_file
from kitestring.errors import UsageError
from kitestring.spec.canary import Canary
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec


def to_sign_off(loaded: LoadedSpec, names: tuple[str, ...]) -> tuple[CollectionSpec, ...]:
    """The collections that are named, or those with a `canary`, or all that have a model.

    Raises:
        UsageError: the spec does not know a name, or none of its collections has a model.
    """
    every = loaded.spec.collections
    if names:
        found = {name: loaded.spec.collection(name) for name in names}
        unknown = next((name for name, one in found.items() if one is None), None)
        if unknown is not None:
            raise UsageError(
                f"the spec has no collection `{unknown}`",
                hint=f"it has: {', '.join(c.name for c in every) or 'none'}",
                subject=unknown,
            )
        return tuple({one.name: one for one in found.values() if one is not None}.values())
    asked = tuple(c for c in every if c.canary is not None)
    with_model = asked or tuple(c for c in every if c.model is not None)
    if not with_model:
        raise UsageError(
            f"no collection of {loaded.file} has a model",
            hint="name `model` of the collection, and describe it in `models`",
        )
    return with_model


def with_canaries(loaded: LoadedSpec, rows: int | None = None) -> LoadedSpec:
    """The spec with a canary of each collection that has been signed off, asked for or not.

    Args:
        rows: of every canary; None for what the spec says.

    Raises:
        UsageError: `rows` is out of range, or there is no canary that it could be of.
    """
    least, most = 20, 100_000  # as the spec's
    if rows is not None and not least <= rows <= most:
        raise UsageError(f"--rows takes {least} to {most}, not {rows}", hint="--rows 1500")
    collections = [_with_canary(loaded, one, rows) for one in loaded.spec.collections]
    if rows is not None and all(one.canary is None for one in collections):
        raise UsageError(
            f"--rows is of a canary, and {loaded.file} asks for none",
            hint="`kitestring embedding sign-off`, or write `canary: {}` at a collection",
        )
    return replace(loaded, spec=loaded.spec.model_copy(update={"collections": collections}))


def _with_canary(loaded: LoadedSpec, one: CollectionSpec, rows: int | None) -> CollectionSpec:
    canary = one.canary
    if canary is None and one.model and sign_off_file(loaded, one.name, one.model).exists():
        canary = Canary()
    if canary is not None and rows is not None:
        canary = canary.model_copy(update={"rows": rows})
    return one.model_copy(update={"canary": canary})
