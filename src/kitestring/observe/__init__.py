"""Reads a live system into a Snapshot, once."""

from kitestring.observe.snapshot import observe

__all__ = ["observe"]
