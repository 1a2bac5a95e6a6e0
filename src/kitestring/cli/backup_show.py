"""`kitestring backup show`: what a backup holds."""

from __future__ import annotations

import json

import click

from kitestring.cli.common import load_spec, output_option, spec_option


@click.command()
@click.argument("name", default="latest", metavar="[BACKUP]")
@spec_option
@output_option("text", "json")
def show(name: str, spec_file: str | None, output: str) -> int:
    """Show what a backup holds. BACKUP is an id, the beginning of one, or `latest`."""
    from kitestring.backup.catalog import open_catalog
    from kitestring.backup.drill_history import open_history
    from kitestring.render.backup import manifest_as_plain, manifest_as_text

    loaded = load_spec(spec_file)
    catalog = open_catalog(loaded)
    manifest = catalog.manifest(catalog.resolve(name, loaded.spec.cluster.name))
    if output == "json":
        click.echo(json.dumps(manifest_as_plain(manifest)))
        return 0
    summary = next((s for s in catalog.summaries() if s.id == manifest.id), None)
    click.echo(manifest_as_text(manifest, summary, open_history(loaded).summaries()))
    return 0
