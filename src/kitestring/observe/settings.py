"""Asks the server for its settings, where the spec has some."""

from __future__ import annotations

from dataclasses import replace

from kitestring.clients.milvus.protocol import Milvus
from kitestring.errors import MilvusError, ServerUnreachable
from kitestring.model.settings import SettingsSeen
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec


def probe_settings(loaded: LoadedSpec, milvus: Milvus, snapshot: Snapshot) -> Snapshot:
    """Adds what the server tells; nothing where the spec has no `deployment.config`.

    Raises:
        ServerUnreachable: the server went away.
    """
    deployment = loaded.spec.deployment
    if deployment is None or not deployment.config:
        return snapshot
    try:
        seen = SettingsSeen(milvus.settings())
    except ServerUnreachable:
        raise
    except MilvusError as error:
        seen = SettingsSeen(reason=error.message)
    return replace(snapshot, settings=seen)
