"""Kitestring keeps Milvus clusters from drifting."""

__version__ = "0.1.0"
