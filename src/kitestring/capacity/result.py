"""What the planner says: needs of collections, of roles, of volumes, and whether they fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitestring.model.codec import to_plain
from kitestring.model.versions import Role
from kitestring.spec.deployment import Resources

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class CollectionNeed:
    """What one collection takes. Bytes are None where the spec does not say how many rows."""

    name: str
    rows: int | None  # as the spec or the command line says
    grown: int | None  # with the growth that is planned for
    dimension: int | None
    index: str  # type and parameters of its vector indexes
    replicas: int  # 0 where it is not loaded
    memory: int | None = None  # of one loaded replica, on all of its nodes together
    share: int | None = None  # on the fullest query node
    disk: int | None = None  # of one replica on the query nodes' own disks
    stored: int | None = None  # in object storage
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RolePlan:
    """Pods of one role: what they need, and what the spec gives them."""

    role: Role
    pods: int
    recommended: Resources
    given: Resources | None
    needed: int  # bytes of memory in use on the fullest pod; 0 where it is not planned
    fits: bool


@dataclass(frozen=True, slots=True)
class VolumeHint:
    """A volume that holds data: what it should have, and what the spec gives it."""

    component: str
    pods: int
    needed: int  # bytes of each
    given: int | None  # None where the spec makes none
    why: str
    firm: bool = False  # too little stops the cluster; a log's need depends on the writes

    @property
    def short(self) -> bool:
        """Whether the spec gives less than is needed."""
        return self.given is not None and self.given < self.needed


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """The plan of a spec. `fits` is None where rows of a loaded collection are not known."""

    cluster: str
    collections: tuple[CollectionNeed, ...]
    roles: tuple[RolePlan, ...]
    volumes: tuple[VolumeHint, ...]
    fits: bool | None
    reasons: tuple[str, ...] = ()  # why it does not fit
    notes: tuple[str, ...] = ()  # what an operator should know
    unknown: tuple[str, ...] = ()  # loaded collections without `rows`
    growth: float = 0.0
    headroom: float = 0.0
    query_nodes_needed: int | None = None  # of the memory that a node can give
    calibration: str = ""

    def of(self, role: Role) -> RolePlan:
        """The plan of one role.

        Raises:
            KeyError: the deployment has no such role.
        """
        for found in self.roles:
            if found.role == role:
                return found
        raise KeyError(role)

    def resources(self, role: Role) -> Resources:
        """What the pods of a role are to ask for: the spec's word, or what is recommended.

        Raises:
            KeyError: the deployment has no such role.
        """
        found = self.of(role)
        return found.given or found.recommended

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON carries it."""
        plain = {k: v for k, v in to_plain(self).items() if k != "roles"}
        roles = [
            {
                "role": r.role,
                "pods": r.pods,
                "recommended": r.recommended.model_dump(exclude_none=True),
                "given": r.given.model_dump(exclude_none=True) if r.given else None,
                "needed": r.needed,
                "fits": r.fits,
            }
            for r in self.roles
        ]
        return {"schema_version": SCHEMA_VERSION, **plain, "roles": roles}
