"""The embedded stack: a real Milvus server process and a local object store, without Docker."""

from kitestring.local.stack import answers, describe, down, running, status, up

__all__ = ["answers", "describe", "down", "running", "status", "up"]
