"""`kitestring provision values`: the day-2 jobs of a spec as values of the chart."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, spec_option


@click.command()
@spec_option
def values(spec_file: str | None) -> int:
    """Print values for `helm install NAME charts/kitestring -f -`.

    With them the chart makes the same jobs as `pulumi up`. Secrets are named, not held.
    """
    from kitestring.manifests.load import load_values
    from kitestring.manifests.text import yaml_documents

    click.echo(yaml_documents([load_values(load_spec(spec_file))]), nl=False)
    return 0
