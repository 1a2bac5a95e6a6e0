"""Restores a backup, physical or logical, to a cluster.

A restore makes whole collections or none: what fails or is interrupted is dropped again, and the
staged files are removed.
"""

from kitestring.backup.restore.run import restore
from kitestring.backup.restore.target import RestoreTarget
from kitestring.model.restore import RestoreResult

__all__ = ["RestoreResult", "RestoreTarget", "restore"]
