"""Resource groups: query nodes that only the collections named for them use."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kitestring.spec.types import Model

GroupName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,254}$")]


class ResourceGroup(Model):
    """Query nodes set apart. Those of no group are in the server's default group."""

    name: GroupName = Field(description="letters, digits and underscores")
    nodes: int = Field(ge=1, le=64, description="query nodes that it has")
