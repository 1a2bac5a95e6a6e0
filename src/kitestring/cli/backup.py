"""`kitestring backup`: make, list, verify, export and remove backups.

A sub-verb is a module `backup_<verb>.py` and a line here.
"""

from __future__ import annotations

import click

from kitestring.cli.lazy import LazyGroup

VERBS = {
    "run": (
        "kitestring.cli.backup_run:run",
        "Make a backup, verify and prune, as the schedule does",
    ),
    "create": ("kitestring.cli.backup_create:create", "Make a backup"),
    "list": ("kitestring.cli.backup_list:list_", "List the backups, newest first"),
    "show": ("kitestring.cli.backup_show:show", "Show what a backup holds"),
    "verify": ("kitestring.cli.backup_verify:verify", "Prove a backup whole, without restoring it"),
    "watch": ("kitestring.cli.backup_watch:watch", "Follow a running backup"),
    "cancel": ("kitestring.cli.backup_watch:cancel", "Stop a running backup"),
    "prune": ("kitestring.cli.backup_prune:prune", "Remove what the retention does not keep"),
    "delete": ("kitestring.cli.backup_delete:delete", "Delete one backup"),
    "export": ("kitestring.cli.backup_export:export", "Write a backup as Parquet files"),
    "import": (
        "kitestring.cli.backup_import:import_",
        "Take a backup of milvus-backup into the catalog",
    ),
    "methods": (
        "kitestring.cli.backup_methods:methods",
        "Say which method is proven for which server",
    ),
    "keys": ("kitestring.cli.backup_keys:keys", "Make the keys that seal and sign backups"),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def backup() -> None:
    """Make, list, verify, export and remove backups."""
