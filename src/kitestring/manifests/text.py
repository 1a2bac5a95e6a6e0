"""Manifests as text: what `kubectl apply -f -`, Argo CD and Flux read."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from kitestring.errors import UsageError
from kitestring.manifests.base import Bundle, Manifest, SecretPlan
from kitestring.manifests.images import ImageUse


class _Dumper(yaml.CSafeDumper):  # type: ignore[misc]
    """Plain YAML: no anchors, texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        return True


# text that PyYAML leaves bare, and that kubectl and helm read as a number or a truth value
_OTHER = re.compile(r"[yYnN]|[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+|0[oO][0-7]+")


def _text(dumper: yaml.CSafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else "'" if _OTHER.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def chosen(bundle: Bundle, component: str | None) -> Bundle:
    """The part of a bundle that is one component's; all of it where none is named.

    Raises:
        UsageError: the bundle has no such component.
    """
    if component is None:
        return bundle
    if component not in bundle.components:
        raise UsageError(
            f"there is no component `{component}`",
            hint=f"components of this spec: {', '.join(bundle.components)}",
        )
    manifests = bundle.of(component)
    named = json.dumps([m.body for m in manifests])
    return Bundle(manifests, tuple(s for s in bundle.secrets if f'"{s.name}"' in named))


def to_yaml(bundle: Bundle, spec_file: str) -> str:
    """A document for each manifest, under a comment that says which Secrets are wanted."""
    return "\n".join([*_header(bundle.secrets, spec_file), documents(bundle.manifests)])


def documents(manifests: Iterable[Manifest]) -> str:
    """The manifests as YAML documents."""
    return yaml_documents(m.body for m in manifests)


def yaml_documents(bodies: Iterable[Mapping[str, Any]]) -> str:
    """Objects as YAML documents."""
    return str(
        yaml.dump_all(
            bodies,
            Dumper=_Dumper,
            sort_keys=False,
            explicit_start=True,
            allow_unicode=True,
            width=100,
        )
    )


def to_json(bundle: Bundle) -> str:
    """The manifests as one object of kind List."""
    items = [m.body for m in bundle.manifests]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2)


def secrets_note(secrets: Sequence[SecretPlan], spec_file: str) -> str:
    """Which Secrets the manifests need and how they are printed; empty where they need none."""
    return "\n".join(line.removeprefix("# ") for line in _header(secrets, spec_file))


def _header(secrets: Sequence[SecretPlan], spec_file: str) -> list[str]:
    if not secrets:
        return []
    names = ", ".join(f"{s.namespace}/{s.name}" for s in secrets)
    made = f"kitestring provision secrets --spec {shlex.quote(spec_file)} | kubectl create -f -"
    return [
        f"# Secrets that these manifests need, and that are not among them: {names}",
        f"# make them once: {made}",
    ]


def images_text(uses: Sequence[ImageUse]) -> str:
    """Each image once, a line each: the list that a mirror is filled from."""
    return "".join(f"{name}\n" for name in dict.fromkeys(use.image for use in uses))


def images_json(uses: Sequence[ImageUse]) -> str:
    """The images, and which components run them."""
    by_image: dict[str, list[str]] = {}
    for use in uses:
        by_image.setdefault(use.image, []).append(use.component)
    return json.dumps(
        {
            "schema_version": 1,
            "images": [{"image": name, "components": who} for name, who in by_image.items()],
        },
        indent=2,
    )
