"""The little of the Kubernetes API that the node itself needs, over one kept connection."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """The server answered with an error. `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Api:
    """Speaks JSON with the API server that a kubeconfig of this package names. `timeout` is in
    seconds, of one request; one thread at a time."""

    def __init__(self, kubeconfig: Path, timeout: float = 10) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        url = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile("wb", suffix=".pem") as pair:  # ssl reads files only
            for part in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[part]) + b"\n")
            pair.flush()
            context.load_cert_chain(pair.name)
        self._connection = http.client.HTTPSConnection(
            str(url.hostname), url.port, context=context, timeout=timeout
        )

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """The decoded answer; text where it is not JSON.

        Raises:
            ApiError: the server refused.
            OSError, http.client.HTTPException: there is no server, or it went away.
        """
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        kept = self._connection.sock is not None
        try:
            answer, text = self._exchange(method, path, data, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not kept:
                raise
            # the server has closed what was idle; every request of this class can be sent twice
            answer, text = self._exchange(method, path, data, headers)
        if answer.status >= 400:
            raise ApiError(answer.status, text[:500])
        return json.loads(text) if text.startswith(("{", "[")) else text

    def _exchange(
        self, method: str, path: str, data: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, str]:
        try:
            self._connection.request(method, path, data, headers)
            answer = self._connection.getresponse()
            return answer, answer.read().decode()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def get(self, path: str) -> Any:
        return self.request("GET", path)

    def create(self, path: str, body: Any) -> None:
        """Creates an object, or leaves the one of that name as it is."""
        try:
            self.request("POST", path, body)
        except ApiError as error:
            if error.code != http.client.CONFLICT:
                raise

    def patch(self, path: str, body: Any) -> None:
        self.request("PATCH", path, body, MERGE)

    def delete(self, path: str) -> None:
        """Deletes an object that may be gone already."""
        try:
            self.request("DELETE", path)
        except ApiError as error:
            if error.code != http.client.NOT_FOUND:
                raise

    def is_ready(self) -> bool:
        try:
            return bool(self.get("/readyz") == "ok")
        except (ApiError, OSError, http.client.HTTPException):
            return False
