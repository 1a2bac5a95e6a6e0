"""A real Kubernetes node for tests."""
