"""All kinds of resources by the name that a provider carries."""

from __future__ import annotations

from kitestring.objects import kinds
from kitestring.objects.base import Kind
from kitestring.provision.objects.inventory import Inventory

KINDS: dict[str, Kind] = kinds.KINDS | {Inventory.name: Inventory()}
