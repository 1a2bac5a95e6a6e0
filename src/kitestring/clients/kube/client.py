"""A Kubernetes cluster over its REST API.

Paths come from a table of kinds, so that nothing has to be discovered before the first answer
(discovery of a whole cluster costs a request for each API group). Certificates, tokens and
credential plugins are the `kubernetes` package's business.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kitestring.clients.kube.failures import from_answer, unreachable
from kitestring.clients.kube.kinds import RESOURCES, Resource, group_path, object_path
from kitestring.clients.kube.protocol import FIELD_MANAGER, Object, Objects
from kitestring.errors import KubernetesError, ManifestRejected

if TYPE_CHECKING:
    from kubernetes.client import Configuration

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 30.0  # seconds
_PAGE = 500  # objects in one answer of a list

_JSON = "application/json"
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"


class KubeClient:
    """Implements `Kube`. Safe to use from several threads."""

    def __init__(self, configuration: Configuration, target: str, namespace: str = "default"):
        """
        Args:
            configuration: as `kubernetes.config` loads it; for a stream (port-forward) make a
                `kubernetes.client.ApiClient` of it.
            target: how messages name the cluster.
            namespace: that of the context.
        """
        import urllib3
        from kubernetes.client.rest import RESTClientObject

        self.configuration = configuration
        self.namespace = namespace
        self._target = target
        self._pool = RESTClientObject(configuration).pool_manager
        self._timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
        # a lost connection is tried once more; a read that timed out is not: it may have arrived
        self._retries = urllib3.Retry(
            total=2,
            connect=1,
            read=0,
            redirect=0,
            status=2,
            other=0,
            status_forcelist=(429,),
            allowed_methods=None,
            backoff_factor=0.2,
            raise_on_status=False,
        )
        self._found: dict[tuple[str, str], Resource] = {}

    @property
    def target(self) -> str:
        return self._target

    def version(self) -> tuple[int, int]:
        said = self._request("GET", "/version", what="read the version", missing=True) or {}
        numbers = [re.match(r"\d+", str(said.get(key, ""))) for key in ("major", "minor")]
        if not all(numbers):
            raise KubernetesError(
                f"what answers at {self.configuration.host} is no Kubernetes API server",
                hint=f"check the server of {self.target}",
            )
        major, minor = (int(number.group()) for number in numbers if number)
        return major, minor

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Object | None:
        resource = self._resource(api_version, kind)
        if resource is None:
            return None
        return self._request(
            "GET",
            object_path(api_version, resource, namespace, name),
            what=f"read {_named(kind, namespace, name)}",
            missing=True,
        )

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = ""
    ) -> Objects:
        resource = self._resource(api_version, kind)
        if resource is None:
            return []
        path = object_path(api_version, resource, namespace)
        found: Objects = []
        query = {"limit": str(_PAGE)} | ({"labelSelector": labels} if labels else {})
        while True:
            page = self._request(
                "GET", path, query=query, what=f"list {resource.plural}", missing=True
            )
            if page is None:
                return found
            # items of a list don't say what they are
            found += [
                {"apiVersion": api_version, "kind": kind, **item} for item in page["items"] or ()
            ]
            rest = page.get("metadata", {}).get("continue")
            if not rest:
                return found
            query["continue"] = rest

    def apply_dry_run(
        self, manifest: Mapping[str, Any], field_manager: str = FIELD_MANAGER
    ) -> Object:
        return self._apply(manifest, field_manager, {"dryRun": "All"})

    def apply(self, manifest: Mapping[str, Any], field_manager: str = FIELD_MANAGER) -> Object:
        return self._apply(manifest, field_manager, {})

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Mapping[str, Any],
        field_manager: str = FIELD_MANAGER,
    ) -> Object:
        return self.request(
            "PATCH",
            object_path(api_version, self._known(api_version, kind), namespace, name),
            body=patch,
            content_type=_MERGE,
            query={"fieldManager": field_manager},
            what=f"change {_named(kind, namespace, name)}",
        )

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> bool:
        resource = self._resource(api_version, kind)
        if resource is None:
            return False
        answer = self._request(
            "DELETE",
            object_path(api_version, resource, namespace, name),
            query={"propagationPolicy": "Background"},
            what=f"delete {_named(kind, namespace, name)}",
            missing=True,
        )
        return answer is not None

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        found = self.get("v1", "Secret", name, namespace)
        if found is None:
            return None
        return {
            key: base64.b64decode(value).decode(errors="replace")
            for key, value in (found.get("data") or {}).items()
        }

    def storage_classes(self) -> Objects:
        return self.list("storage.k8s.io/v1", "StorageClass")

    def nodes(self) -> Objects:
        return self.list("v1", "Node")

    def close(self) -> None:
        """Closes the connections."""
        self._pool.clear()

    def __enter__(self) -> KubeClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _apply(
        self, manifest: Mapping[str, Any], field_manager: str, query: Mapping[str, str]
    ) -> Object:
        metadata = manifest["metadata"]
        api_version, kind = str(manifest["apiVersion"]), str(manifest["kind"])
        name, namespace = str(metadata["name"]), metadata.get("namespace")
        return self.request(
            "PATCH",
            object_path(api_version, self._known(api_version, kind), namespace, name),
            body=manifest,
            content_type=_APPLY,
            query={"fieldManager": field_manager, "force": "true", **query},
            what=f"apply {_named(kind, namespace, name)}",
        )

    def _known(self, api_version: str, kind: str) -> Resource:
        resource = self._resource(api_version, kind)
        if resource is None:
            raise ManifestRejected(
                f"the cluster has no kind {kind} of {api_version}",
                hint="a newer Kubernetes, or the operator that brings it, has to be installed",
                subject=kind,
            )
        return resource

    def _resource(self, api_version: str, kind: str) -> Resource | None:
        """From the table, else from the cluster; None where the cluster has no such kind."""
        key = (api_version, kind)
        resource = RESOURCES.get(key) or self._found.get(key)
        if resource is None:
            listed = self._request(
                "GET", group_path(api_version), what=f"look up {kind}", missing=True
            )
            for one in (listed or {}).get("resources", ()):
                if "/" not in one["name"]:
                    self._found[(api_version, one["kind"])] = Resource(
                        one["name"], bool(one["namespaced"])
                    )
            resource = self._found.get(key)
        return resource

    def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        """One request, and its answer.

        Raises:
            KubernetesUnreachable, KubernetesDenied, ManifestRejected, KubernetesError.
        """
        answer = self._request(
            method, path, what=what, body=body, content_type=content_type, query=query
        )
        return answer or {}

    def _request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
        query: Mapping[str, str] | None = None,
        missing: bool = False,
    ) -> Object | None:
        """`missing`: None for an answer of 404, instead of an error."""
        import urllib3

        url = self.configuration.host.rstrip("/") + path
        if query:
            url += f"?{urlencode(query)}"
        headers = {"Accept": _JSON, "User-Agent": "kitestring"}
        if body is not None:
            headers["Content-Type"] = content_type
        for setting in self.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=self._timeout,
                retries=self._retries,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(error, address=self.configuration.host, target=self.target) from error
        if answer.status == 404 and missing:
            return None
        if answer.status >= 400:
            raise from_answer(answer.status, answer.data, what=what, target=self.target)
        try:
            result = json.loads(answer.data)
        except ValueError:
            result = None
        if not isinstance(result, dict):
            raise KubernetesError(
                f"what answers at {self.configuration.host} is no Kubernetes API server",
                hint=f"check the server of {self.target}",
            )
        return result


def _named(kind: str, namespace: str | None, name: str) -> str:
    return f"{kind}/{namespace}/{name}" if namespace else f"{kind}/{name}"
