"""The bundle of a spec file: errors name the file and line, files that jobs need are read."""

from __future__ import annotations

from typing import Any

from kitestring.manifests.base import Bundle
from kitestring.manifests.build import build
from kitestring.manifests.chart import chart_values
from kitestring.manifests.refuse import located, refuse
from kitestring.spec.loaded import LoadedSpec


def load_bundle(loaded: LoadedSpec) -> Bundle:
    """Everything that the deployment of a loaded spec is made of.

    Raises:
        SpecInvalid: there is no deployment, or it asks for what can't be; with file and line.
    """
    with located(loaded):
        return build(loaded.spec, files=_files(loaded))


def load_values(loaded: LoadedSpec) -> dict[str, Any]:
    """The values with which `charts/kitestring` makes the day-2 jobs of a loaded spec.

    Raises:
        SpecInvalid: there is no deployment, or no image for the jobs; with file and line.
    """
    with located(loaded):
        return chart_values(loaded.spec, _files(loaded))


def _files(loaded: LoadedSpec) -> dict[str, str]:
    """What the day-2 jobs take along, by its path in the spec: golden queries, public keys."""
    spec = loaded.spec
    if spec.deployment is None or spec.deployment.images.kitestring is None:
        return {}
    named: list[tuple[str, tuple[str | int, ...]]] = [
        (collection.golden, ("collections", number, "golden"))
        for number, collection in enumerate(spec.collections)
        if collection.golden is not None
    ]
    if spec.backup is not None and spec.backup.signing is not None:
        trusted = spec.backup.signing.trusted
        named += [(path, ("backup", "signing", "trusted", n)) for n, path in enumerate(trusted)]
    texts = {}
    for path, key in named:
        try:
            texts[path] = loaded.resolve(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise refuse(
                key, f"the day-2 jobs take this file along, and it can't be read: {error}"
            ) from None
    return texts
