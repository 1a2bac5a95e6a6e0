"""Pulumi components and dynamic resources: what `pulumi up` makes of a spec."""
