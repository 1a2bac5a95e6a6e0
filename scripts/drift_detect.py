#!/usr/bin/env python3
r"""Drift detection for a cron line or a CI job: `kitestring drift` under another name.

    scripts/drift_detect.py --spec infra/clusters/prod.yaml --fail-on warn \
      --output sarif=drift.sarif --output text

Exit codes: 0 clean, 1 error, 2 drift, 3 inconclusive, 64 wrong usage, 130 interrupted.
"""

from kitestring.cli import launch
from kitestring.cli.drift import drift

if __name__ == "__main__":
    launch(drift, "drift_detect.py")
