"""`kitestring backup keys`: make and show the keys that seal and sign backups."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, output_option, spec_option


@click.group()
def keys() -> None:
    """Make and show the keys that seal and sign backups."""


@keys.command()
@click.option("--out", required=True, metavar="DIR", help="Folder for the two files")
@click.option(
    "--kind",
    type=click.Choice(("signing", "age")),
    default="signing",
    show_default=True,
    help="signing: Ed25519, for manifests; age: X25519, for objects",
)
@output_option("text", "json")
def new(out: str, kind: str, output: str) -> int:
    """Make a pair of keys. The private one is readable by its owner only."""
    from pathlib import Path
    from typing import cast

    from kitestring.backup.seal.keys import Kind, new_pair
    from kitestring.model.codec import to_plain
    from kitestring.render.keys import pair_as_text

    pair = new_pair(Path(out), cast(Kind, kind))
    if output == "json":
        click.echo(json.dumps({"schema_version": 1, "kind": kind, **to_plain(pair)}))
    else:
        click.echo(pair_as_text(kind, pair.private, pair.public, pair.name))
    return 0


@keys.command()
@spec_option
@output_option("text", "json")
def show(spec_file: str | None, output: str) -> int:
    """Show the keys that the spec names; exit code 2 when one of them is of no use."""
    from kitestring.backup.seal.keys import describe
    from kitestring.model.codec import to_plain
    from kitestring.render.keys import keys_as_text

    lines = describe(load_spec(spec_file))
    if output == "json":
        click.echo(json.dumps({"schema_version": 1, "keys": to_plain(lines)}))
    else:
        click.echo(keys_as_text([(k.use, k.where, k.name, k.remark) for k in lines]))
    return 0 if all(line.usable for line in lines) else 2
