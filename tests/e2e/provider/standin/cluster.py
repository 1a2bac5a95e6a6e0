"""Objects of a cluster over the API server's REST, by server-side apply."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

FIELD_MANAGER = "pulumi-kubernetes"
ID = "namespace/name, or name alone where the kind has no namespace"


class ApiError(Exception):
    """The API server's answer, where it is not the one that was hoped for. 0: no answer."""

    def __init__(self, status: int, message: str, causes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.causes = causes  # paths of the fields that it complains about


class Cluster:
    """A connection by kubeconfig. Kinds are looked up once in the API server's discovery."""

    def __init__(
        self, *, kubeconfig: str | None, context: str | None, namespace: str | None
    ) -> None:
        self.namespace = namespace or "default"
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}
        self._lock = threading.Lock()
        settings = client.Configuration()
        config.load_kube_config(
            config_file=_as_file(kubeconfig), context=context, client_configuration=settings
        )
        settings.connection_pool_maxsize = 16
        settings.retries = urllib3.Retry(2, backoff_factor=0.2, status=0)
        self._api = client.ApiClient(settings)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: str = "",
        content: str = "application/json",
    ) -> Any:
        """One call.

        Raises:
            ApiError: with the status of the answer, or 0 where nothing answers.
        """
        settings = self._api.configuration
        headers = {"Accept": "application/json", "Content-Type": content}
        token = settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            headers["Authorization"] = token
        url = settings.host + path + (f"?{query}" if query else "")
        try:
            answer = self._api.rest_client.pool_manager.request(
                method,
                url,
                headers=headers,
                body=None if body is None else json.dumps(body),
                timeout=urllib3.Timeout(connect=5, read=60),
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(
                0, f"configured Kubernetes cluster is unreachable: {settings.host}: {error}"
            ) from None
        found = json.loads(answer.data or b"{}")
        if answer.status >= 400:
            causes = (found.get("details") or {}).get("causes") or ()
            fields = tuple(cause.get("field", "") for cause in causes)
            raise ApiError(answer.status, found.get("message", str(answer.status)), fields)
        return found

    def _path(self, api_version: str, kind: str, namespace: str | None, name: str) -> str:
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        with self._lock:
            if kind not in self._kinds.get(api_version, {}):
                listed = self.request("GET", root)["resources"]
                self._kinds[api_version] = {
                    r["kind"]: (r["name"], r["namespaced"]) for r in listed if "/" not in r["name"]
                }
        if kind not in self._kinds[api_version]:
            raise ApiError(404, f"the API server knows no {kind} in {api_version}")
        plural, namespaced = self._kinds[api_version][kind]
        middle = f"/namespaces/{namespace or self.namespace}" if namespaced else ""
        return f"{root}{middle}/{plural}" + (f"/{name}" if name else "")

    def _of(self, body: Mapping[str, Any], *, named: bool = True) -> str:
        meta = body["metadata"]
        name = meta["name"] if named else ""
        return self._path(body["apiVersion"], body["kind"], meta.get("namespace"), name)

    def id_of(self, body: Mapping[str, Any]) -> str:
        """See `ID`."""
        meta = body["metadata"]
        namespaced = "/namespaces/" in self._of(body)
        return (
            f"{meta.get('namespace') or self.namespace}/{meta['name']}"
            if namespaced
            else meta["name"]
        )

    def get(self, api_version: str, kind: str, id_: str) -> dict[str, Any] | None:
        """The object, or None where there is none."""
        namespace, _, name = id_.rpartition("/")
        return self.read(self._path(api_version, kind, namespace or None, name))

    def read(self, path: str) -> dict[str, Any] | None:
        """What is at a path of the API, or None."""
        try:
            found: dict[str, Any] = self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Makes an object that is not there (409 where it is)."""
        query = f"fieldManager={FIELD_MANAGER}&fieldValidation=Strict"
        made: dict[str, Any] = self.request("POST", self._of(body, named=False), body, query=query)
        return made

    def apply(
        self, body: Mapping[str, Any], *, force: bool, dry_run: bool = False
    ) -> dict[str, Any]:
        """Server-side apply."""
        query = f"fieldManager={FIELD_MANAGER}&fieldValidation=Strict&force={str(force).lower()}"
        made: dict[str, Any] = self.request(
            "PATCH",
            self._of(body),
            body,
            query=query + ("&dryRun=All" if dry_run else ""),
            content="application/apply-patch+yaml",
        )
        return made

    def delete(self, api_version: str, kind: str, id_: str) -> None:
        """Starts a deletion in the foreground: what the object owns goes first."""
        namespace, _, name = id_.rpartition("/")
        try:
            self.request(
                "DELETE",
                self._path(api_version, kind, namespace or None, name),
                {"propagationPolicy": "Foreground"},
            )
        except ApiError as error:
            if error.status != 404:
                raise


def _as_file(kubeconfig: str | None) -> str | None:
    """`kubeconfig` may be a path or the file's content, as with the real plugin."""
    if not kubeconfig or "\n" not in kubeconfig:
        return kubeconfig or None
    with tempfile.NamedTemporaryFile("w", suffix=".kubeconfig", delete=False) as file:
        file.write(kubeconfig)
    return str(Path(file.name))
