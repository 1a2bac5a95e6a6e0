"""Kubernetes: reading, server-side dry run, and port-forwards."""
