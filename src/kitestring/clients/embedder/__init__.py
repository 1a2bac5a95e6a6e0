"""Embedding models behind one protocol."""

from __future__ import annotations

from kitestring.clients.embedder.base import Embedder
from kitestring.clients.embedder.make import make_cached, make_embedder

__all__ = ["Embedder", "make_cached", "make_embedder"]
