"""Kubernetes manifests of a deployment. Pure: the spec in, objects out.

`provision` hands them to Pulumi, `kitestring provision render` prints them, and drift detection
compares them with what is live: all three see the same objects.
"""
