"""Milvus on Kubernetes, as the spec of this stack says (`pulumi config get kitestring:spec`)."""

import pulumi

from kitestring.provision.stack import MilvusStack, Settings, explained

with explained():
    stack = MilvusStack(Settings.read(pulumi.Config("kitestring")))

# which cluster this is: inventories are made from it (docs/how-to/fleets.md)
pulumi.export("cluster", stack.spec.cluster.name)
pulumi.export("environment", stack.spec.cluster.environment)
pulumi.export("spec", stack.file)
pulumi.export("endpoint", stack.cluster.endpoint)
pulumi.export("namespace", stack.cluster.namespace)
pulumi.export("root_secret", stack.cluster.root_secret)
pulumi.export("tls_secret", stack.cluster.tls_secret)
