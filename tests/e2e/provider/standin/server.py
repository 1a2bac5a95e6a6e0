"""The resource provider's protocol, as the engine speaks it with a plugin."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from standin import VERSION, values
from standin.cluster import ApiError, Cluster
from standin.readiness import Failed, await_gone, await_ready

IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")
MAX_MESSAGE = 400 << 20  # bytes, as the engine's own
_DiffKind = provider_pb2.PropertyDiff


def kind_of(urn: str) -> tuple[str, str]:
    """apiVersion and kind from a URN with the type `kubernetes:apps/v1:Deployment`."""
    _, version, kind = urn.split("::")[2].rpartition("$")[2].split(":")
    return version.removeprefix("core/"), kind


def _rpc(method: Callable[..., Any]) -> Callable[..., Any]:
    """Errors of the API server become the engine's, without a traceback."""

    @functools.wraps(method)
    def call(self: Provider, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except (ApiError, Failed) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return call


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Manifests to the API server, by server-side apply."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._cluster: Cluster | None = None
        self._settings: dict[str, str] = {}

    # --- the plugin itself

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        schema = {"name": "kubernetes", "version": VERSION, "description": "a stand-in for tests"}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = values.plain(request.olds), values.plain(request.news)
        found = [c for c in values.changes(old, new) if c.path[0] != "version"]
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_SOME if found else kinds.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        prefix = "kubernetes:config:"
        self._settings = {k.removeprefix(prefix): v for k, v in request.variables.items()}
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._stop.set()
        return empty_pb2.Empty()

    @_rpc
    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise Failed(f"the stand-in knows no function {request.tok}")

    # --- resources

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        news = values.plain(request.news)
        failures = []
        if not (news.get("metadata") or {}).get("name"):
            failures.append(
                provider_pb2.CheckFailure(
                    property="metadata.name", reason="the stand-in makes no names: give one"
                )
            )
        return provider_pb2.CheckResponse(inputs=_struct(news), failures=failures)

    @_rpc
    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = values.plain(request.old_inputs), values.plain(request.news)
        found = list(values.changes(old, new))
        replaced = {c.property_path for c in found if c.property_path in IDENTITY}
        if found and not replaced and not values.has_unknown(new):
            verdict = self._dry_run(request.urn, new, found)
            if verdict is None:
                found = []
            else:
                replaced = verdict
        kinds = provider_pb2.DiffResponse
        response = kinds(
            changes=kinds.DIFF_SOME if found else kinds.DIFF_NONE,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaced),
            diffs=sorted({str(change.path[0]) for change in found}),
            replaces=sorted(replaced),
        )
        for change in found:
            kind = getattr(_DiffKind, change.op.upper())
            if change.property_path in replaced:
                kind += 1  # each kind is followed by the one that asks for a replacement
            response.detailedDiff[change.property_path].CopyFrom(
                provider_pb2.PropertyDiff(kind=kind, inputDiff=True)
            )
        return response

    def _dry_run(
        self, urn: str, new: Mapping[str, Any], found: list[values.Change]
    ) -> set[str] | None:
        """What of the changes needs a new object; None where the API server sees no change."""
        try:
            would_be = self.cluster.apply(new, force=self._on("enablePatchForce"), dry_run=True)
        except ApiError as error:
            if error.status == 404:  # it, or its namespace, is gone
                return set()
            fixed = ("immutable", "updates to statefulset spec", "may not change")
            if error.status != 422 or not any(text in str(error) for text in fixed):
                raise
            blamed = {
                c.property_path
                for c in found
                if any(c.property_path.startswith(f) or f.startswith(c.property_path)
                       for f in error.causes)
            }  # fmt: skip
            return blamed or {c.property_path for c in found}
        version, kind = kind_of(urn)
        live = self.cluster.get(version, kind, self.cluster.id_of(new))
        if live is None or not _equal(live, would_be):
            return set()
        # declared otherwise, but the same object: nothing to do for a live one
        return set() if any(c.path[0] == "stringData" for c in found) else None

    @_rpc
    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        news = values.plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=_struct(news))
        made = self._make(news)
        id_ = self.cluster.id_of(made)
        return provider_pb2.CreateResponse(
            id=id_, properties=_struct(self._ready(made, id_, news, request.timeout, context))
        )

    def _make(self, news: Mapping[str, Any]) -> dict[str, Any]:
        if not self._on("upsertExistingObjects"):
            return self.cluster.create(news)
        return self.cluster.apply(news, force=self._on("enablePatchForce"))

    @_rpc
    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        news = values.plain(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(
                properties=_struct({**values.plain(request.olds), **news})
            )
        made = self.cluster.apply(news, force=self._on("enablePatchForce"))
        live = self._ready(made, request.id, news, request.timeout, context)
        return provider_pb2.UpdateResponse(properties=_struct(live))

    def _ready(
        self, made: dict[str, Any], id_: str, inputs: Any, timeout: float, context: Any
    ) -> dict[str, Any]:
        """Waits; a resource that is made and not ready is told to the engine as just that."""
        try:
            return values.live(await_ready(self.cluster, made, id_, self._stop, timeout))
        except Failed as error:
            detail = provider_pb2.ErrorResourceInitFailed(
                id=id_, properties=_struct(values.live(made)), reasons=[str(error)],
                inputs=_struct(inputs),
            )  # fmt: skip
            what = f"{made['kind']} {id_} was made but is not ready: {error}"
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=what)
            status.details.add().Pack(detail)
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
            context.abort(grpc.StatusCode.UNKNOWN, what)
            raise

    @_rpc
    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        version, kind = kind_of(request.urn)
        found = self.cluster.get(version, kind, request.id)
        if found is None:
            return provider_pb2.ReadResponse(id="")
        live = {"apiVersion": version, "kind": kind, **values.live(found)}
        inputs = values.plain(request.inputs)
        seen = values.declared(inputs, live) if inputs else values.importable(live)
        return provider_pb2.ReadResponse(
            id=request.id, properties=_struct(live), inputs=_struct(seen)
        )

    @_rpc
    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        version, kind = kind_of(request.urn)
        self.cluster.delete(version, kind, request.id)
        await_gone(self.cluster, version, kind, request.id, self._stop, request.timeout)
        return empty_pb2.Empty()

    # --- settings

    @property
    def cluster(self) -> Cluster:
        """Connected on first use: a preview without resources needs no cluster."""
        if self._cluster is None:
            self._cluster = Cluster(
                kubeconfig=self._settings.get("kubeconfig"),
                context=self._settings.get("context"),
                namespace=self._settings.get("namespace"),
            )
        return self._cluster

    def _on(self, name: str) -> bool:
        return self._settings.get(name, "false") == "true"


def _struct(fields: Mapping[str, Any]) -> Any:
    return values.struct(values.sealed(fields))


def _equal(live: Mapping[str, Any], would_be: Mapping[str, Any]) -> bool:
    def bare(body: Mapping[str, Any]) -> dict[str, Any]:
        return values.importable(body)

    return bare(live) == bare(would_be)


def serve() -> None:
    """Serves until the engine goes away; the port on stdout is the whole handshake."""
    print(
        "kubernetes provider: this is the stand-in for tests, not the real plugin", file=sys.stderr
    )
    options = [("grpc.max_receive_message_length", MAX_MESSAGE),
               ("grpc.max_send_message_length", MAX_MESSAGE)]  # fmt: skip
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    engine = os.getppid()
    with contextlib.suppress(KeyboardInterrupt):
        while os.getppid() == engine:  # an engine that was killed can't end its plugins
            time.sleep(1)
    server.stop(0)
