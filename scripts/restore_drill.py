#!/usr/bin/env python3
"""A restore drill for a cron line or a CI job: `kitestring drill run` under another name.

    scripts/restore_drill.py --spec infra/clusters/prod.yaml --output json

Exit codes: 0 passed, 1 error, 2 a missed objective or a backup that does not restore, 64 wrong
usage, 130 interrupted.
"""

from kitestring.cli import launch
from kitestring.cli.drill import run as drill_run

if __name__ == "__main__":
    launch(drill_run, "restore_drill.py")
