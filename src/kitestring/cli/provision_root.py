"""`kitestring provision root-password`: after `render | kubectl apply`, what `pulumi up` does."""

from __future__ import annotations

import click

from kitestring.cli.common import load_spec, note, spec_option


@click.command("root-password")
@spec_option
@click.option("--context", metavar="NAME", default="", help="Context of the kubeconfig")
@click.option("--kubeconfig", metavar="FILE", default="", help="Kubeconfig to use")
def root_password(spec_file: str | None, context: str, kubeconfig: str) -> int:
    """Give root the password of its Secret, and prove that the default one is refused.

    Milvus before 2.4.8 starts with the password `Milvus`; this changes it. Nothing is changed where
    root has the Secret's password already.
    """
    from kitestring.provision.root_password import ensure_root_password, password_in_cluster
    from kitestring.provision.target import root_way, target_of

    loaded = load_spec(spec_file)
    way = root_way(loaded, target_of(loaded, context=context, kubeconfig=kubeconfig))
    outcome = ensure_root_password(way, password_in_cluster(loaded, way))
    note(f"root of {way.address}: the password was {outcome}; the default one is refused")
    return 0
