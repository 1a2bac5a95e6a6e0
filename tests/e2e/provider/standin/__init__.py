"""A stand-in for the Kubernetes provider's plugin: a test tool, not what users run.

`pulumi-resource-kubernetes` is in no package registry that this project's tests may count on. The
stand-in speaks the same protocol to the real Pulumi engine and applies manifests to a real API
server by server-side apply, so that the end-to-end tests can run the real program. It follows the
real plugin (4.29 and later) where a user would notice: an object that is there is an error unless
`upsertExistingObjects` is on, a conflict is an error unless `enablePatchForce` is on, readiness is
waited for, and `pulumi.com/skipAwait` is honoured.
"""

VERSION = "0.0.0-standin"
