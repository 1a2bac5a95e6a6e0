"""Drift: one spec, observed against one snapshot, gives findings."""

from kitestring.drift.baseline import compare
from kitestring.drift.run import detect, run_drift

__all__ = ["compare", "detect", "run_drift"]
