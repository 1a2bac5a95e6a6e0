"""Every rule of the pack."""

from __future__ import annotations

from kitestring.provision.policy import access, durability, exposure, pods
from kitestring.provision.policy.rule import Rule

RULES: tuple[Rule, ...] = (*access.RULES, *pods.RULES, *exposure.RULES, *durability.RULES)
