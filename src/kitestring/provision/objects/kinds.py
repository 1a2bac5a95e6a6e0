"""All kinds of objects by the name that a provider carries."""

from __future__ import annotations

from kitestring.provision.objects.access import Grant, Role, User
from kitestring.provision.objects.base import Kind
from kitestring.provision.objects.holders import Collection, Database, Partition
from kitestring.provision.objects.indexes import Alias, IndexOn, Load
from kitestring.provision.objects.inventory import Inventory

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Database(),
        Collection(),
        Partition(),
        IndexOn(),
        Load(),
        Alias(),
        Role(),
        Grant(),
        User(),
        Inventory(),
    )
}
