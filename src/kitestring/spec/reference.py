"""The JSON Schema of a spec, and its reference in Markdown, both made from the models."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticUndefined

from kitestring.spec.models import Spec
from kitestring.spec.shape import Shape, allowed, kind, shape_of_field
from kitestring.spec.types import NAME, PATTERN_TEXTS, Model, SecretRef, format_duration

SCHEMA_ID = "https://json-schema.org/draft/2020-12/schema"

_HEAD = """# The spec

<!-- made by `kitestring spec reference`; edit the models in src/kitestring/spec/ instead -->

One YAML file describes one cluster. `kitestring spec check FILE` checks it, `kitestring spec show`
prints it with every default and the source of each value, `kitestring spec adopt --uri URI` writes
one from a server. `docs/reference/spec.schema.json` is the same as a JSON Schema, for editors:

    # yaml-language-server: $schema=docs/reference/spec.schema.json

**How the file is read.** Scalars follow YAML 1.2: `on`, `yes` and `01:30` are text. A key that is
there twice, an unknown key and a value of another type are errors. Anchors and aliases are
followed; merge keys (`<<`) and tags (`!x`) are not read. Relative paths start at the spec file.

**Variables of the environment** are laid over the file: `KITESTRING__CONNECTION__URI`,
`KITESTRING__COLLECTIONS__0__SHARDS`. Two underscores lead one level down, items of a list are
numbered from 0, a list or mapping is written as YAML on one line. A variable that begins with
`KITESTRING__` and fits no key is an error.

A **name** is made of letters, digits and `_`, does not begin with a digit, and has at most 255
characters. A **duration** is a number and a unit (ms, s, m, h, d, w), or several: `1h30m`.

**Secrets** never stand in a spec. Where one is needed, the spec names a variable
(`token: {env: MILVUS_TOKEN}`) or a file (`token: {file: /run/secrets/milvus}`).
"""


def json_schema() -> str:
    """The JSON Schema of a spec, as the text of its file."""
    schema: dict[str, Any] = {"$schema": SCHEMA_ID, **Spec.model_json_schema()}
    schema["title"] = "A Kitestring spec"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def markdown() -> str:
    """The reference, as the text of its file."""
    sections = _sections()
    titles = {s.model: s.title for s in sections}
    texts = ["\n".join(_section(s, titles)) + "\n" for s in sections]
    return "\n".join([_HEAD, *texts])


@dataclass(slots=True)
class _Section:
    """A model and the key paths at which it stands. `tag` selects it, or a model above it."""

    model: type[Model]
    paths: list[str]
    tag: str = ""

    @property
    def title(self) -> str:
        if self.model is Spec:
            return "The file"
        if self.model is SecretRef:
            return "A secret"
        return f"`{self.paths[0]}`{self.tag}"


def _sections() -> list[_Section]:
    """Every model once, parents first."""
    found: dict[type[Model], _Section] = {Spec: _Section(Spec, [""])}
    queue = [found[Spec]]
    while queue:
        above = queue.pop(0)
        for name, info in above.model.model_fields.items():
            path = ".".join(filter(None, (above.paths[0], name)))
            shape = shape_of_field(info)
            if shape.is_list:
                path, shape = path + "[]", shape.item
            tags = {member.model: tag for tag, member in shape.tags().items()}
            for member in shape.members:
                if member.model is None:
                    continue
                if member.model in found:
                    found[member.model].paths.append(path)
                    continue
                tag = tags.get(member.model)
                own = f", {shape.discriminator} `{tag}`" if tag else above.tag
                found[member.model] = _Section(member.model, [path], own)
                queue.append(found[member.model])
    return list(found.values())


def _section(section: _Section, titles: Mapping[type[Model], str]) -> Iterator[str]:
    yield f"## {section.title}"
    yield ""
    yield inspect.cleandoc(section.model.__doc__ or "")
    if len(section.paths) > 1:
        yield ""
        yield "Stands at " + ", ".join(f"`{p}`" for p in dict.fromkeys(section.paths)) + "."
    yield ""
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    for name, info in section.model.model_fields.items():
        shape = shape_of_field(info)
        cells = (
            f"`{name}`",
            _takes(shape, titles),
            _default(shape, info.get_default(call_default_factory=True)),
            info.description or ("which of the forms it has" if shape.choices else ""),
        )
        yield "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def _takes(shape: Shape, titles: Mapping[type[Model], str]) -> str:
    inner, wrap = (shape.item, "list of {}") if shape.is_list else (shape, "{}")
    if inner.is_mapping:
        return wrap.format(f"mapping of names to {kind(inner.item)}")
    models = [m.model for m in inner.members if m.model]
    if models:
        links = [f"[{titles[m].replace('`', '')}](#{_anchor(titles[m])})" for m in models]
        return wrap.format(" or ".join(links))
    words = allowed(inner)
    if words == PATTERN_TEXTS[NAME]:
        return wrap.format("name")
    if inner.choices:
        return wrap.format(", ".join(f"`{c}`" for c in inner.choices))
    if inner.is_duration:
        return wrap.format("duration, such as `90s`, `15m`, `24h`, `7d`")
    text = kind(inner)
    return wrap.format(f"{text}: {words}" if words else text)


def _anchor(title: str) -> str:
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def _default(shape: Shape, value: Any) -> str:
    if value is PydanticUndefined:
        return "**required**"
    if value is None:
        return "none"
    if isinstance(value, Model):
        return "its defaults"
    if shape.is_duration:
        return f"`{format_duration(value)}`"
    if value in ([], {}, ""):
        return "empty"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"
