"""Drift: one spec, observed against one snapshot, gives findings."""

from kitestring.drift.run import detect, run_drift

__all__ = ["detect", "run_drift"]
