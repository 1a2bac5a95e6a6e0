"""`kitestring provision render`, `secrets` and `images`: what a deployment is made of."""

from __future__ import annotations

import click

from kitestring.cli.common import kube_options, load_spec, note, output_option, spec_option


@click.command()
@spec_option
@output_option("yaml", "json")
@click.option("--component", metavar="NAME", help="Only this component, such as query_node")
@click.option("--diff", is_flag=True, help="Compare with the live cluster instead of printing")
@kube_options
def render(
    spec_file: str | None,
    output: str,
    component: str | None,
    diff: bool,
    context: str | None,
    kubeconfig: str | None,
) -> int:
    """Print the manifests of a deployment, for `kubectl apply -f -`, Argo CD or Flux.

    Secrets are not among them: `kitestring provision secrets` prints those.
    """
    from kitestring.manifests import text
    from kitestring.manifests.load import load_bundle

    loaded = load_spec(spec_file)
    if diff:
        from kitestring.cli.provision_diff import show_diff

        return show_diff(loaded, context, kubeconfig, "json" if output == "json" else "text")
    bundle = text.chosen(load_bundle(loaded), component)
    if output == "yaml":
        click.echo(text.to_yaml(bundle, str(loaded.file)), nl=False)
    else:
        click.echo(text.to_json(bundle))
        note(text.secrets_note(bundle.secrets, str(loaded.file)))
    return 0


@click.command()
@spec_option
def secrets(spec_file: str | None) -> int:
    """Print the Secrets of a deployment with freshly made values, for `kubectl create -f -`.

    For clusters without Pulumi, once: `create` leaves a Secret alone that is there, and its values
    are what the data behind them knows. What is printed is secret.
    """
    from kitestring.clients.secrets import read_secret
    from kitestring.manifests.load import load_bundle
    from kitestring.manifests.text import yaml_documents
    from kitestring.provision.credentials import secret_manifests

    loaded = load_spec(spec_file)
    plans = load_bundle(loaded).secrets
    made = secret_manifests(plans, lambda reference: read_secret(loaded, reference))
    click.echo(yaml_documents(made), nl=False)
    note("these are secrets: pipe them to `kubectl create -f -`, and keep them in no file")
    return 0


@click.command()
@spec_option
@output_option("text", "json")
def images(spec_file: str | None, output: str) -> int:
    """List every image that a deployment runs: what a mirror has to hold."""
    from kitestring.manifests import images as listing
    from kitestring.manifests import text
    from kitestring.manifests.refuse import located

    loaded = load_spec(spec_file)
    with located(loaded):
        uses = listing.images(loaded.spec)
    if output == "json":
        click.echo(text.images_json(uses))
    else:
        click.echo(text.images_text(uses), nl=False)
    return 0
