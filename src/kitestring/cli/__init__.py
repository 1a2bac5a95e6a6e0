"""The `kitestring` command. Verbs are imported when they are called, so that help is quick."""

from __future__ import annotations

import importlib

import click

from kitestring import __version__
from kitestring.cli.running import launch, leave, run

__all__ = ["VERBS", "cli", "launch", "leave", "main", "run"]

# verb -> (module:attribute, one line of help)
VERBS = {
    "spec": ("kitestring.cli.spec:spec", "Check, show or adopt a spec; print its JSON Schema"),
    "local": ("kitestring.cli.local:local", "Run a real Milvus on this machine, without Docker"),
    "ingest": ("kitestring.cli.ingest:ingest", "Write documents into a collection, idempotently"),
    "search": ("kitestring.cli.search:search", "Find the passages that answer a question"),
    "status": ("kitestring.cli.status:status", "The cluster on one screen"),
    "drift": ("kitestring.cli.drift:drift", "Compare the cluster with its spec"),
    "checks": ("kitestring.cli.checks:checks", "List what drift detection looks at"),
    "reconcile": ("kitestring.cli.reconcile:reconcile", "Bring the cluster back to its spec"),
    "compact": ("kitestring.cli.compact:compact", "Compact collections whose segments call for it"),
    "embedding": ("kitestring.cli.embedding:embedding", "Check which model made the vectors"),
    "reembed": ("kitestring.cli.reembed:reembed", "Change the embedding model of a collection"),
    "retrieval": ("kitestring.cli.retrieval:retrieval", "Calibrate what golden queries must find"),
    "backup": ("kitestring.cli.backup:backup", "Create, list, show and verify backups"),
    "restore": ("kitestring.cli.restore:restore", "Restore a backup"),
    "drill": ("kitestring.cli.drill:drill", "Prove that a backup can be restored"),
    "scheduled": ("kitestring.cli.scheduled:scheduled", "What a crontab or a timer runs"),
    "capacity": ("kitestring.cli.capacity:capacity", "Plan memory and volumes for what is loaded"),
    "provision": (
        "kitestring.cli.provision:provision",
        "Render, list and compare what is provisioned",
    ),
    "demo": ("kitestring.cli.demo:demo", "The whole loop, on a real Milvus on this machine"),
}


class Verbs(click.Group):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kitestring")
@click.option("-q", "--quiet", is_flag=True, help="Errors only on stderr")
@click.option("-v", "--verbose", is_flag=True, help="Show what an internal error came from")
@click.pass_context
def cli(ctx: click.Context, quiet: bool, verbose: bool) -> None:
    """Keeps Milvus clusters from drifting, and proves that their backups restore.

    Exit codes: 0 clean, 1 error, 2 drift or a missed objective, 3 inconclusive,
    64 wrong usage, 130 interrupted.
    """
    ctx.obj = {"quiet": quiet, "verbose": verbose}


def main() -> None:
    """The console script's entry point."""
    launch(cli, "kitestring")
