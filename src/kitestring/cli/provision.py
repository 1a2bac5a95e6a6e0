"""`kitestring provision`: what is provisioned on Kubernetes, without an engine.

A sub-verb is a module `provision_<verb>.py` and a line here.
"""

from __future__ import annotations

import click

from kitestring.cli.lazy import LazyGroup

VERBS = {
    "render": ("kitestring.cli.provision_render:render", "Print the manifests of a deployment"),
    "secrets": ("kitestring.cli.provision_render:secrets", "Print its Secrets, with new values"),
    "diff": ("kitestring.cli.provision_diff:diff", "Compare them with a live cluster"),
    "preflight": (
        "kitestring.cli.provision_preflight:preflight",
        "Say what stands against a deployment, before anything is touched",
    ),
    "root-password": (
        "kitestring.cli.provision_root:root_password",
        "Give root the password of its Secret",
    ),
    "images": ("kitestring.cli.provision_render:images", "List every image that it runs"),
    "values": ("kitestring.cli.provision_values:values", "Print values for the chart of its jobs"),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def provision() -> None:
    """Render, list and compare what is provisioned."""
