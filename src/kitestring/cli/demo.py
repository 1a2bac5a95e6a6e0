"""`kitestring demo`."""

from __future__ import annotations

from pathlib import Path

import click

from kitestring.cli.common import note


@click.command()
@click.option(
    "--target",
    type=click.Choice(["embedded", "kubernetes"]),
    default="embedded",
    show_default=True,
    help="A process on this machine, or `pulumi up` on the current kubeconfig context",
)
@click.option("--keep", is_flag=True, help="Leave the server and its data")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="A checkout of kitestring  [default: this directory]",
)
def demo(target: str, keep: bool, root: Path) -> int:
    """The whole loop on a real Milvus.

    Ingest, enforce twice, back up, drill, plant faults, find them, correct them. Prints a timeline
    and the path of a self-contained page.
    """
    from kitestring.demo.run import run_demo
    from kitestring.demo.targets import Embedded, Kubernetes

    where = Kubernetes() if target == "kubernetes" else Embedded()
    page = run_demo(root.resolve(), where, keep=keep, say=note)
    click.echo(page)
    return 0
