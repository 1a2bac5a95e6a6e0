"""Embedding as a plan of parts: in this process, in several, or on Ray."""
