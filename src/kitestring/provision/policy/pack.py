"""The rules as a Pulumi policy pack. The only file of this folder that imports Pulumi.

The spec is that of the policy's configuration (`spec`), else that of the stack's configuration
(`kitestring:spec`), else `KITESTRING_SPEC`; relative paths start at the program's folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from kitestring.errors import KitestringError
from kitestring.provision.policy.resource import UNKNOWN, Resource
from kitestring.provision.policy.rule import Context, ResourceRule, Rule, StackRule
from kitestring.provision.policy.rules import RULES
from kitestring.spec.load import load
from kitestring.spec.plain import mapping, text

NAME = "kitestring"
SPEC_KEY = "spec"


def serve(program: Path, rules: tuple[Rule, ...] = RULES) -> None:
    """Answers the engine until it ends the process.

    Args:
        program: folder of the Pulumi program, where relative paths of specs start.
    """
    PolicyPack(
        NAME,
        [_policy(rule, program) for rule in rules],
        description="What must hold of a Milvus on Kubernetes",
    )


def _policy(rule: Rule, program: Path) -> Policy:
    common: dict[str, Any] = {
        "name": rule.id,
        "description": rule.description,
        "enforcement_level": EnforcementLevel(rule.level),
    }
    if rule.reads_spec:
        common["config_schema"] = PolicyConfigSchema(
            {SPEC_KEY: {"type": "string", "description": "Path of the spec of the cluster"}}
        )
    if isinstance(rule, StackRule):
        return StackValidationPolicy(**common, validate=partial(_check_stack, rule, program))
    return ResourceValidationPolicy(**common, validate=partial(_check_one, rule, program))


def _check_one(
    rule: ResourceRule, program: Path, args: ResourceValidationArgs, report: ReportViolation
) -> None:
    for message in rule.check(as_resource(args), context(args.get_config(), program)):
        report(message, None)


def _check_stack(
    rule: StackRule, program: Path, args: StackValidationArgs, report: ReportViolation
) -> None:
    resources = tuple(as_resource(r) for r in args.resources)
    for resource, message in rule.check(resources, context(args.get_config(), program)):
        report(message, resource.urn if resource else None)


def as_resource(given: Any) -> Resource:
    """What the engine hands over as the rules see it."""
    props = plain(given.props)
    name = text(mapping(props.get("metadata")).get("name")) or given.name
    return Resource(given.resource_type, name, props, bool(given.opts.protect), given.urn)


def plain(value: Any) -> Any:
    """Properties without the engine's proxies, which raise where a value is not known yet."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, str | bytes) or not hasattr(value, "__getitem__"):
        return value
    return [_item(value, position) for position in range(len(value))]


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def context(config: Mapping[str, Any], program: Path) -> Context:
    """The spec that a policy's configuration, the stack's or the environment names."""
    named = (
        config.get(SPEC_KEY)
        or pulumi.Config(NAME).get(SPEC_KEY)
        or os.environ.get("KITESTRING_SPEC")
    )
    return _loaded((program / str(named)).resolve()) if named else Context()


@cache
def _loaded(path: Path) -> Context:
    try:
        return Context(load(path).spec)
    except KitestringError as error:
        return Context(None, error.message)
