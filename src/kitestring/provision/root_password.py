"""The password of `root`: never the default one.

A server that can't be given a password by configuration starts with `Milvus`. It is changed as
soon as the server answers; until then the NetworkPolicy keeps others out. On every server it is
proven that the default password is refused.
"""

from __future__ import annotations

from typing import Literal

from kitestring.clients.milvus.connect import kube_secret, open_way
from kitestring.clients.milvus.way import SecretKey, Way
from kitestring.errors import AuthenticationFailed, ProvisionError
from kitestring.spec.loaded import LoadedSpec

ROOT, DEFAULT = "root", "Milvus"
Outcome = Literal["changed", "kept"]


def password_in_cluster(loaded: LoadedSpec, way: Way) -> str:
    """The password that the Secret of root has.

    Raises:
        SecretMissing, KubernetesUnreachable, KubernetesDenied, KubernetesError.
    """
    return kube_secret(way, SecretKey(f"{loaded.spec.cluster.name}-root", "password"))


def ensure_root_password(way: Way, password: str) -> Outcome:
    """Makes `password` that of root, if it is not yet, and proves that the default is refused.

    Raises:
        ProvisionError: root has neither this password nor the default one.
        ServerUnreachable, KubernetesError: the server could not be reached.
    """
    if password == DEFAULT:
        raise ProvisionError("the password of root may not be the default one")
    if _accepted(way, password):
        if _accepted(way, DEFAULT):
            raise ProvisionError(
                f"{way.address} takes any password: authentication is off",
                hint="`common.security.authorizationEnabled` has to be true",
                subject=way.address,
            )
        return "kept"
    if not _change(way, password):
        raise ProvisionError(
            f"root of {way.address} has neither the password of the Secret nor the default one",
            hint="put the password that root has into the Secret, or change it with a client",
            subject=way.address,
        )
    if not _accepted(way, password) or _accepted(way, DEFAULT):
        raise ProvisionError(
            f"{way.address} said that it changed the password of root, and did not",
            subject=way.address,
        )
    return "changed"


def is_root_password(way: Way, password: str) -> bool:
    """Whether root has this password. One that does has no other: the default one is refused.

    Raises:
        ServerUnreachable, KubernetesError: the server could not be reached.
    """
    return _accepted(way, password)


def _accepted(way: Way, password: str) -> bool:
    try:
        server = open_way(way, token=f"{ROOT}:{password}")
    except AuthenticationFailed:
        return False
    server.close()
    return True


def _change(way: Way, password: str) -> bool:
    """False where the default password is refused."""
    try:
        server = open_way(way, token=f"{ROOT}:{DEFAULT}")
    except AuthenticationFailed:
        return False
    try:
        server.admin.change_password(ROOT, DEFAULT, password)
    finally:
        server.close()
    return True
