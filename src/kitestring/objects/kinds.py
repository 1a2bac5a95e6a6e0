"""The kinds of objects by their names."""

from __future__ import annotations

from kitestring.objects.access import Grant, Role, User
from kitestring.objects.base import Kind
from kitestring.objects.groups import Group
from kitestring.objects.holders import Collection, Database, Partition
from kitestring.objects.indexes import Alias, IndexOn, Load

HOLDERS: dict[str, Kind] = {k.name: k for k in (Database(), Collection(), Partition())}
"""What holds rows."""

KINDS: dict[str, Kind] = HOLDERS | {
    kind.name: kind for kind in (IndexOn(), Group(), Load(), Alias(), Role(), Grant(), User())
}
