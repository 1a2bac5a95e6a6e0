"""What exists in which version of Milvus, and which changes a live cluster survives. Pure.

Sources, by number in the code:

1. Milvus 2.6, "Upgrade Milvus Cluster with Milvus Operator" and "… Standalone …": from 2.5 to 2.6
   the index node is gone, the streaming node is new; 2.5.16 or later with mixCoord first; the
   message queue has to be kept.
2. milvus-io/milvus#34752 and #34777 (root password by configuration); the notes of 2.4.8 are the
   first to list #34777. The 2.3.5 binary has no such setting.
3. `configs/milvus.yaml`, section `mq`: rocksmq is for standalone only. Milvus's own default in a
   cluster up to 2.5 is Pulsar; ours is Kafka, which Kitestring can provision.
4. Milvus, "Message Queue Overview": rocksmq is the default of standalone up to 2.5 and is
   supported after it; woodpecker is the default from 2.6. Switching needs Milvus 3.0.
5. milvus-operator, "Upgrade Milvus Cluster": roles roll in the order of their dependencies, and a
   downgrade of the image (`rollingDowngrade`) rolls them in reverse.
6. Milvus, "How do you choose and validate a Milvus version upgrade": once a newer Milvus has
   written data, the way back is a restore.
7. Release notes of Milvus 2.3 to 2.6.
8. `pkg/util/paramtable/base_table.go`. The 2.3.5 binary of the PyPI wheel knows `milvus.yaml` only.
   zilliztech/milvus-helm#108: with 2.4.6 the chart stopped merging the files itself.
9. milvus-io/milvus#36242, mended by #36549 and, for 2.4, by #37610 (merged on 2024-11-12; 2.4.15
   followed). Seen on 2.3.5 by `tests/e2e/test_cluster.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Mode = Literal["standalone", "cluster"]
Role = Literal[
    "standalone", "proxy", "coordinator", "query_node", "data_node", "index_node", "streaming_node"
]
Log = Literal["rocksmq", "kafka", "pulsar", "woodpecker"]

_TEXT = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_SERVER = re.compile(r"v?\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True, order=True)
class MilvusVersion:
    """A release of Milvus; compares as people expect."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> MilvusVersion:
        """The version in a text such as `2.5.16` or `v2.5.16`.

        Raises:
            ValueError: it is no version of three numbers.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"`{text}` is no version of Milvus: write three numbers, as in 2.5.16")
        return cls(*map(int, found.groups()))

    @classmethod
    def of_server(cls, text: str) -> MilvusVersion:
        """The version that a server says it is, without what follows, as in `v2.3.5-dev`.

        Raises:
            ValueError: it does not begin with a version.
        """
        found = _SERVER.match(text.strip())
        return cls.parse(found[0] if found else text)

    @property
    def line(self) -> tuple[int, int]:
        """Major and minor: what upgrade paths are about."""
        return self.major, self.minor

    @property
    def known(self) -> bool:
        """Whether this model says what exists in it."""
        return FIRST.line <= self.line <= LAST.line

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


ADDS_FIELDS = MilvusVersion(2, 6)  # source 7: a field can be added to a collection


def cannot_add_fields(server: str) -> str:
    """What to say of a server that can't."""
    since = f"{ADDS_FIELDS.major}.{ADDS_FIELDS.minor}"
    return f"the server is Milvus {server}, which can't add a field to a collection: {since} can"


def adds_fields(server: str) -> bool:
    """Whether a server that says it is of this version can add a field to a collection; one whose
    version can't be told is asked."""
    try:
        return MilvusVersion.of_server(server).line >= ADDS_FIELDS.line
    except ValueError:
        return True


FIRST, LAST = MilvusVersion(2, 3), MilvusVersion(2, 6)
KNOWN_LINES = "2.3, 2.4, 2.5, 2.6"
_V2_6 = MilvusVersion(2, 6)
_BEFORE_2_6 = MilvusVersion(2, 5, 16)  # source 1


class Feature(StrEnum):
    """Something that a version has or has not; `since` says which is the first that has it."""

    DEFAULT_ROOT_PASSWORD = "default-root-password"  # noqa: S105 - a setting's name; source 2
    STREAMING_NODE = "streaming-node"  # source 1
    USER_YAML = "user-yaml"  # the server itself reads `user.yaml` over its `milvus.yaml`; source 8
    # a replica that is being rebuilt answers only when it has its segments; source 9
    REBUILT_REPLICA_WAITS = "rebuilt-replica-waits"
    STORAGE_V2 = "storage-v2"  # segments as plain Parquet, a file a column group; source 7


_FEATURES: Mapping[Feature, MilvusVersion] = {
    Feature.DEFAULT_ROOT_PASSWORD: MilvusVersion(2, 4, 8),
    Feature.STREAMING_NODE: MilvusVersion(2, 6, 0),
    Feature.USER_YAML: MilvusVersion(2, 4, 6),
    Feature.REBUILT_REPLICA_WAITS: MilvusVersion(2, 4, 15),
    Feature.STORAGE_V2: MilvusVersion(2, 6, 0),
}


def since(feature: Feature) -> MilvusVersion:
    """The first version that has a feature."""
    return _FEATURES[feature]


def has(version: MilvusVersion, feature: Feature) -> bool:
    """Whether a version has a feature."""
    return version >= since(feature)


ROLES: tuple[Role, ...] = (
    "standalone",
    "proxy",
    "coordinator",
    "query_node",
    "data_node",
    "index_node",
    "streaming_node",
)
SCALABLE: tuple[Role, ...] = ("proxy", "query_node")
"""Roles that an autoscaler may resize: proxies hold no state, and query nodes are drained."""


def roles(version: MilvusVersion, mode: Mode) -> tuple[Role, ...]:
    """The roles that exist, in the order in which an upgrade rolls them (sources 1 and 5)."""
    if mode == "standalone":
        return ("standalone",)
    if version >= _V2_6:
        return ("coordinator", "streaming_node", "query_node", "data_node", "proxy")
    return ("index_node", "coordinator", "query_node", "data_node", "proxy")


def index_builder(version: MilvusVersion, mode: Mode) -> Role:
    """The role that builds indexes: the index node, and from 2.6 the data node (source 1)."""
    if mode == "standalone":
        return "standalone"
    return "data_node" if version >= _V2_6 else "index_node"


def message_logs(version: MilvusVersion, mode: Mode) -> tuple[Log, ...]:
    """The message logs that go with a version and a mode; the first is taken by default.

    rocksmq stays with a standalone server that was upgraded to 2.6 (sources 3 and 4).
    """
    if version >= _V2_6:
        if mode == "standalone":
            return ("woodpecker", "rocksmq", "kafka", "pulsar")
        return ("woodpecker", "kafka", "pulsar")
    return ("rocksmq", "kafka", "pulsar") if mode == "standalone" else ("kafka", "pulsar")


def default_message_log(version: MilvusVersion, mode: Mode) -> Log:
    """The message log of a deployment that names none."""
    return message_logs(version, mode)[0]


# field types and index types that not every known version has (source 7)
TYPES_SINCE: Mapping[str, MilvusVersion] = {
    "ARRAY": MilvusVersion(2, 3, 2),
    "FLOAT16_VECTOR": MilvusVersion(2, 4, 0),
    "BFLOAT16_VECTOR": MilvusVersion(2, 4, 0),
    "SPARSE_FLOAT_VECTOR": MilvusVersion(2, 4, 0),
}
INDEXES_SINCE: Mapping[str, MilvusVersion] = {
    "INVERTED": MilvusVersion(2, 4, 0),
    "GPU_CAGRA": MilvusVersion(2, 4, 0),
    "GPU_BRUTE_FORCE": MilvusVersion(2, 4, 0),
    "SPARSE_INVERTED_INDEX": MilvusVersion(2, 4, 0),
    "SPARSE_WAND": MilvusVersion(2, 4, 0),
    "BITMAP": MilvusVersion(2, 5, 0),
    "HNSW_SQ": MilvusVersion(2, 5, 0),
    "HNSW_PQ": MilvusVersion(2, 5, 0),
    "HNSW_PRQ": MilvusVersion(2, 5, 0),
    "IVF_RABITQ": MilvusVersion(2, 6, 0),
    "NGRAM": MilvusVersion(2, 6, 0),
}
METRICS_SINCE: Mapping[str, MilvusVersion] = {"BM25": MilvusVersion(2, 5, 0)}
NULLABLE_SINCE = MilvusVersion(2, 5, 0)


# --- from one version to another


@dataclass(frozen=True, slots=True)
class Allowed:
    """A change of version that a live cluster takes. `order` is that in which its roles roll.

    `removed` are roles that the new version has not; they go last. `notes` are for the operator.
    """

    order: tuple[Role, ...]
    removed: tuple[Role, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A change of version that would lose data or that Milvus does not support."""

    reason: str
    hint: str = ""


def upgrade(old: MilvusVersion, new: MilvusVersion, mode: Mode) -> Allowed | Refused:
    """Whether a live cluster may go from one version to another, and in which order.

    One minor at a time and never back across a minor; 2.6 wants 2.5.16 first (source 1). Within
    a minor a patch may be taken back, as the operator does, with the roles in reverse (sources 5
    and 6: a note says that a restore is the way back for what the newer patch has written).
    """
    if not new.known:
        return Refused(f"Milvus {new} is not known", f"known are {KNOWN_LINES}")
    order = roles(new, mode)
    if new.line == old.line:
        if new >= old:
            return Allowed(order)
        return Allowed(
            tuple(reversed(order)),
            notes=(
                f"{old} to {new} takes a patch back: make a backup first, what the newer patch "
                "has written may need a restore",
            ),
        )
    if new.line < old.line:
        return Refused(
            f"Milvus can't go back from {old} to {new}: it would not read what {old} has written",
            f"provision a cluster of {new} beside it and restore a backup that {new} can read",
        )
    if new.line != (old.major, old.minor + 1):
        return Refused(
            f"from {old} to {new} skips a minor version",
            f"go to {old.major}.{old.minor + 1} first",
        )
    if new.line == _V2_6.line and old < _BEFORE_2_6:
        return Refused(
            f"2.6 is reached from {_BEFORE_2_6} or a later 2.5, with its coordinators in one pod; "
            f"this is {old}",
            f"go to {_BEFORE_2_6} first",
        )
    gone = tuple(role for role in roles(old, mode) if role not in order)
    return Allowed(order, gone)
