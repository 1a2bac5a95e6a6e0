"""What the API server or the network said, as Kitestring's errors with a hint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kitestring.errors import (
    KubernetesDenied,
    KubernetesError,
    KubernetesUnreachable,
    ManifestRejected,
)

_LONGEST = 600


def from_answer(status: int, body: bytes, *, what: str, target: str) -> KubernetesError:
    """The error for an answer of 400 or above.

    Args:
        what: what was asked, such as `apply Deployment/milvus/prod-proxy`.
    """
    said = _status(body)
    text = shortened(str(said.get("message") or body[:200].decode(errors="replace")).strip())
    if status in (401, 403) and "quota" not in text:
        return _denied(status, text, what, target)
    fields = rejected_fields(said)
    # a field of a wrong name or type is answered with 500 by server-side apply
    mistaken = status == 500 and "failed to create typed patch object" in text
    if status in (400, 403, 409, 422) or mistaken or _no_namespace(status, said):
        # a field is named for itself; the message that holds all of them is long
        reasons = "; ".join(f"{field}: {message}" for field, message in fields) or text
        return ManifestRejected(
            f"the API server does not accept it: {what}: {shortened(reasons)}",
            hint="the field that the message names comes from the spec's `deployment`",
            subject=what,
            fields=[field for field, _ in fields],
        )
    if status in (429, 500, 502, 503, 504):
        return KubernetesError(
            f"the API server could not do it now: {what}: {text or status}",
            hint=f"try again; the server is that of {target}",
            subject=what,
        )
    return KubernetesError(f"{what}: {text or status}", subject=what)


def _no_namespace(status: int, said: Mapping[str, Any]) -> bool:
    return status == 404 and (said.get("details") or {}).get("kind") == "namespaces"


def _denied(status: int, text: str, what: str, target: str) -> KubernetesDenied:
    if status == 401:
        return KubernetesDenied(
            f"the API server does not know the user of {target}",
            hint="renew the credential of that context (log in again)",
            subject=what,
        )
    return KubernetesDenied(
        f"the user of {target} may not do this: {what}: {text}",
        hint="grant it by a Role and RoleBinding, or use another context",
        subject=what,
    )


def unreachable(error: BaseException, *, address: str, target: str) -> KubernetesUnreachable:
    """The error for a failed connection or a deadline that passed."""
    origin: Any = getattr(error, "reason", None) or error
    text = str(origin)
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text.lower():
        return KubernetesUnreachable(
            f"the certificate of the API server at {address} can't be trusted: "
            f"{shortened(text.rsplit(': ', 1)[-1])}",
            hint=f"check `certificate-authority` of {target}",
            subject=address,
        )
    reason = "it did not answer in time" if "timed out" in text else shortened(_plain(text))
    return KubernetesUnreachable(
        f"no Kubernetes API server answers at {address}: {reason}",
        hint=f"that is the server of {target}: check that it runs, or name another context",
        subject=address,
    )


def rejected_fields(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, message) of every cause that a Status object names."""
    details = status.get("details") or {}
    causes = details.get("causes") or []
    # below its first line a message may hold a dump of the server's own structures
    return [
        (str(cause["field"]), (str(cause.get("message", "")).splitlines() or [""])[0])
        for cause in causes
        if cause.get("field")
    ]


def shortened(text: str) -> str:
    """One line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _plain(text: str) -> str:
    """urllib3 puts the connection object before the reason."""
    return text.rsplit(">: ", 1)[-1].rsplit("): ", 1)[-1]


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
