"""Users, roles and grants inside Milvus, as pydantic models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kitestring.model.access import Privilege
from kitestring.spec.types import Model, Name, SecretRef


class Grant(Model):
    """Privileges of a role on one object, or on all of a kind (`*`)."""

    object: Literal["Global", "Collection", "User"] = Field(
        "Collection", description="the kind of object"
    )
    name: str = Field("*", min_length=1, description="the object's name, or `*`")
    privileges: list[str] = Field(min_length=1, description="such as `[Search, Query]`")


class AccessRole(Model):
    """A role. Grants that are not named here are taken away."""

    name: Name = Field(description="the role's name")
    grants: list[Grant] = Field([], description="what it may do")

    @property
    def privileges(self) -> frozenset[Privilege]:
        """The single privileges of its grants."""
        return frozenset(Privilege(g.object, g.name, p) for g in self.grants for p in g.privileges)


class User(Model):
    """A user. Roles that are not named here are taken away."""

    name: Name = Field(description="the user's name; `root` is always there")
    password: SecretRef | None = Field(
        None, description="omit to have one made, kept in a Secret of the deployment"
    )
    roles: list[Name] = Field([], description="roles of the user")


class Access(Model):
    """Who may do what inside Milvus."""

    roles: list[AccessRole] = Field([], description="beside `admin` and `public`")
    users: list[User] = Field([], description="beside `root`")
