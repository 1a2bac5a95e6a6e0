"""Frozen values that flow between rooms. Nothing here does I/O."""
