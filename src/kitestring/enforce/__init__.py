"""Brings a cluster back to its spec: plans are pure, steps are idempotent, nothing is destroyed."""
