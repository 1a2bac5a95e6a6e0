"""The reference page of the verbs: `python -m kitestring.cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from kitestring.cli import cli

MARK = "<!-- made by `make docs` from the commands themselves -->"


def commands_page() -> str:
    """Every verb, its arguments and options, as Markdown."""
    lines = [MARK, "", "# Commands", ""]
    for context in every_verb():
        heading = [] if context.parent is None else [f"## {context.command_path}", ""]
        lines += [*heading, *_text(context.command), "", "```", *_usage(context), "```", ""]
    return "\n".join(lines)


def every_verb() -> Iterator[click.Context]:
    """The command, every group of verbs and every verb."""
    top = click.Context(cli, info_name="kitestring", **cli.context_settings)
    yield top
    yield from _verbs(top)


def _verbs(above: click.Context) -> Iterator[click.Context]:
    group = above.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is not None and not command.hidden:
            context = click.Context(command, parent=above, info_name=name)
            yield context
            yield from _verbs(context)


def _text(command: click.Command) -> list[str]:
    return [line.strip().replace("\b", "") for line in (command.help or "").strip().splitlines()]


def _usage(context: click.Context) -> list[str]:
    """What `--help` prints below the text."""
    formatter = click.HelpFormatter(width=100)
    context.command.format_usage(context, formatter)
    context.command.format_options(context, formatter)
    return [line.rstrip() for line in formatter.getvalue().strip().splitlines()]


if __name__ == "__main__":
    click.echo(commands_page(), nl=False)
