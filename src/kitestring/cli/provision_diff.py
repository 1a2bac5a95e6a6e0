"""`kitestring provision diff`: what an apply would change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kitestring.cli.common import kube_options, load_spec, output_option, spec_option

if TYPE_CHECKING:
    from kitestring.spec.loaded import LoadedSpec


@click.command()
@spec_option
@kube_options
@output_option("text", "json")
def diff(spec_file: str | None, context: str | None, kubeconfig: str | None, output: str) -> int:
    """Compare the manifests with a live cluster, by server-side dry run. Nothing is changed.

    Exit codes: 0 the same, 2 something differs, 3 not all could be seen, 1 no comparison.
    """
    return show_diff(load_spec(spec_file), context, kubeconfig, output)


def show_diff(
    loaded: LoadedSpec, context: str | None, kubeconfig: str | None, output: str = "text"
) -> int:
    """The comparison on stdout; its exit code. `render --diff` is the same."""
    from kitestring.provision.diff import diff_deployment, exit_code
    from kitestring.render.infra import diff_json, diff_text

    snapshot = diff_deployment(loaded, context, kubeconfig)
    sys.stdout.write(diff_json(snapshot) if output == "json" else diff_text(snapshot))
    return exit_code(snapshot)
