"""Kubernetes, provisioning, and bringing a cluster back to its spec."""

from __future__ import annotations

from collections.abc import Sequence

from kitestring.errors.base import KitestringError


class KubernetesError(KitestringError):
    """The Kubernetes API answered with an error."""

    code = "kubernetes.error"


class KubernetesUnreachable(KubernetesError):
    """No kubeconfig, no such context, or nothing answers at the API server's address."""

    code = "kubernetes.unreachable"


class KubernetesDenied(KubernetesError):
    """The API server does not let this user do it."""

    code = "kubernetes.denied"


class ManifestRejected(KubernetesError):
    """The API server does not accept a manifest; the message names the field, and `fields` holds
    the dotted paths that the server named."""

    code = "kubernetes.rejected"

    def __init__(
        self, message: str, *, hint: str = "", subject: str = "", fields: Sequence[str] = ()
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.fields = tuple(fields)


class ProvisionError(KitestringError):
    """What was asked for can't be provisioned; the message says why."""

    code = "provision.error"


class ProvisionRefused(ProvisionError):
    """A change that would lose data or can't be made on a live cluster; nothing was touched."""

    code = "provision.refused"


class CapacityExceeded(ProvisionError):
    """Collections need more memory than the nodes that they are to be loaded on have."""

    code = "provision.capacity"


class EnforceError(KitestringError):
    """The cluster could not be brought back to its spec."""

    code = "enforce.error"


class EnforceBusy(EnforceError):
    """Another enforcement of the same kind holds the lock."""

    code = "enforce.busy"


class EnforceRefused(EnforceError):
    """A change that would lose rows; nothing was touched."""

    code = "enforce.refused"


class DiskHeadroom(EnforceError):
    """The disk has too little room for a compaction; it was not started."""

    code = "enforce.disk-headroom"


class CompactionUnfinished(EnforceError):
    """A compaction was not done within its deadline; the server goes on with it."""

    code = "enforce.compaction-unfinished"


class NotifyFailed(EnforceError):
    """Somebody who was to be told could not be told."""

    code = "notify.failed"
