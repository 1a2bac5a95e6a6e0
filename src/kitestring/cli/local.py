"""`kitestring local`: a real Milvus server process on this machine."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from kitestring.cli.common import Number, find_spec, note, output_option, spec_option, typed
from kitestring.errors import SpecNotFound

_DEFAULT = ".kitestring/local/milvus"
data_option = click.option(
    "--data",
    metavar="DIR",
    help=f"Data directory  [default: `connection.embedded` of the spec, or {_DEFAULT}]",
)


@click.group()
def local() -> None:
    """Run a real Milvus on this machine, without Docker.

    The server of the PyPI wheel `milvus`, one process for each data directory. Two directories
    make two servers, side by side. Its ports are open on every address of the machine.
    """


@local.command()
@data_option
@spec_option
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of the server  [default: the last one, or a free one]",
)
@click.option("--timeout", type=Number(1), default=60.0, show_default=True, help="Seconds")
def up(data: str | None, spec_file: str | None, port: int | None, timeout: float) -> int:
    """Start the server; does nothing where it runs already."""
    from kitestring import local as stack

    directory = _directory(data, spec_file)
    before, start = stack.status(directory), time.monotonic()
    state = stack.up(directory, port=port, timeout=timeout)
    seconds = time.monotonic() - start
    note(
        f"Milvus {state.version} runs already for {directory}"
        if state == before
        else f"Milvus {state.version} is up for {directory} ({seconds:.1f} s)"
    )
    click.echo(state.uri)
    return 0


@local.command()
@data_option
@spec_option
@click.option("--remove", is_flag=True, help="Remove the data directory as well")
@click.option("--yes", is_flag=True, help="Do not ask for the name (for machines)")
def down(data: str | None, spec_file: str | None, remove: bool, yes: bool) -> int:
    """Stop the server; does nothing where none runs."""
    from kitestring import local as stack

    directory = _directory(data, spec_file)
    if remove and not yes:
        name = directory.name
        typed(f"all data in {directory} will be lost; type `{name}` to remove it", name)
    stopped = stack.down(directory, remove=remove)
    note(f"stopped the server of {directory}" if stopped else f"no server runs for {directory}")
    return 0


@local.command()
@data_option
@spec_option
@output_option("text", "json")
def status(data: str | None, spec_file: str | None, output: str) -> int:
    """Show the server; exit code 1 where none runs."""
    from kitestring import local as stack
    from kitestring.render.local import stack_as_text

    facts = stack.describe(_directory(data, spec_file))
    click.echo(json.dumps(facts, indent=2) if output == "json" else stack_as_text(facts))
    return 0 if facts["answers"] else 1


def _directory(data: str | None, spec_file: str | None) -> Path:
    """The flag, else the embedded server's directory of the spec, else the default."""
    if data is not None and spec_file is not None:
        raise click.UsageError("name either `--data` or `--spec`")
    if data is not None:
        return Path(data).expanduser().resolve()
    try:
        file = find_spec(spec_file)
    except SpecNotFound:
        return Path(_DEFAULT).resolve()
    from kitestring.spec.load import load

    loaded = load(file)
    embedded = loaded.spec.connection.embedded
    if embedded is None and spec_file is not None:
        raise click.UsageError(f"the server that `connection` of {file} names is no embedded one")
    return loaded.resolve(embedded) if embedded else Path(_DEFAULT).resolve()
