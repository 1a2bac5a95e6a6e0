"""`kitestring provision preflight`: what stands against a deployment."""

from __future__ import annotations

import sys

import click

from kitestring.cli.common import kube_options, load_spec, output_option, spec_option


@click.command()
@spec_option
@kube_options
@output_option("text", "json")
def preflight(
    spec_file: str | None, context: str | None, kubeconfig: str | None, output: str
) -> int:
    """Say what stands against a deployment, before anything is touched.

    Exit codes: 0 nothing, 2 something, 3 not all could be looked at, 1 the cluster can't be read.
    """
    from kitestring.clients.kube.connect import connect_for
    from kitestring.provision.preflight import preflight as run
    from kitestring.render.preflight import exit_code, problems_json, problems_text

    loaded = load_spec(spec_file)
    with connect_for(loaded, context, kubeconfig) as kube:
        problems = run(loaded, kube)
        target = kube.target
    show = problems_json if output == "json" else problems_text
    sys.stdout.write(show(problems, target))
    return exit_code(problems)
