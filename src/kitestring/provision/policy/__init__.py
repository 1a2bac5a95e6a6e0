"""The policy pack: what must hold of every resource of a stack, whoever wrote it.

The rules are pure functions over type and properties; `pack` alone knows Pulumi.
"""
