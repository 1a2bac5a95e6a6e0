"""The bundle of a spec file: errors name the file and line, golden queries are read."""

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
        return build(loaded.spec, golden=_golden(loaded))


def load_values(loaded: LoadedSpec) -> dict[str, Any]:
    """The values with which `charts/kitestring` makes the day-2 jobs of a loaded spec.

    Raises:
        SpecInvalid: there is no deployment, or no image for the jobs; with file and line.
    """
    with located(loaded):
        return chart_values(loaded.spec, _golden(loaded))


def _golden(loaded: LoadedSpec) -> dict[str, str]:
    """Texts of the golden queries, where day-2 jobs are made that need them."""
    deployment = loaded.spec.deployment
    if deployment is None or deployment.images.kitestring is None:
        return {}
    texts = {}
    for number, collection in enumerate(loaded.spec.collections):
        if collection.golden is None:
            continue
        file = loaded.resolve(collection.golden)
        try:
            texts[collection.name] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise refuse(
                ("collections", number, "golden"),
                f"the day-2 jobs take this file along, and it can't be read: {error}",
            ) from None
    return texts
