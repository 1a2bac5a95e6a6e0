"""Facts for those who schedule or look: plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kitestring.clients.cron import VERBS, cron_entry, probe_cron, secrets_of_environment
from kitestring.clients.systemd import probe_systemd, timer_of
from kitestring.errors import UsageError
from kitestring.model.versions import MilvusVersion, Refused, upgrade
from kitestring.spec.loaded import LoadedSpec


def schedule_facts(loaded: LoadedSpec, unit_folder: str | None = None) -> dict[str, Any]:
    """The cron entries and systemd units of the spec, and whether this host would run them.

    Args:
        unit_folder: where units are, where the spec does not say so; see `timer_of`.
    """
    folder = Path(unit_folder) if unit_folder else None
    return {
        "schedule": {task: cron_entry(loaded, task).as_dict() for task in VERBS},
        "cron": probe_cron().as_dict(),
        "timers": {task: timer_of(loaded, task, folder).as_dict() for task in VERBS},
        "systemd": probe_systemd().as_dict(),
        "secrets_of_environment": list(secrets_of_environment(loaded)),
    }


def server_facts(loaded: LoadedSpec) -> dict[str, Any]:
    """The server's version, and the collections of its database.

    Raises:
        MilvusError, LocalNotRunning, SecretMissing: the server could not be asked.
    """
    from kitestring.clients.milvus.connect import connect

    with connect(loaded) as milvus:
        infos = [milvus.describe(name) for name in milvus.list_collections()]
        return {
            "version": milvus.version(),
            "collections": {
                info.name: {
                    "load_state": info.load_state,
                    "replicas": info.replicas,
                    "aliases": list(info.aliases),
                    "indexes": [i.index.name for i in info.indexes],
                    "rows": milvus.count(info.name) if info.loaded else None,
                }
                for info in infos
            },
        }


def upgrade_facts(loaded: LoadedSpec, version: str) -> dict[str, Any]:
    """Whether the spec's server may go from the version that it runs to another.

    Raises:
        UsageError: that is no version.
        MilvusError, LocalNotRunning, SecretMissing: the server could not be asked.
    """
    from kitestring.clients.milvus.connect import connect

    try:
        wanted = MilvusVersion.parse(version)
    except ValueError as error:
        raise UsageError(str(error), hint="such as 2.5.16", subject=version) from None
    with connect(loaded) as milvus:
        running = MilvusVersion.of_server(milvus.version())
    deployment = loaded.spec.deployment
    found = upgrade(running, wanted, deployment.mode if deployment else "standalone")
    if isinstance(found, Refused):
        return {"allowed": False, "from": str(running), "reason": found.reason, "hint": found.hint,
                "order": [], "notes": []}  # fmt: skip
    return {"allowed": True, "from": str(running), "reason": "", "hint": "",
            "order": list(found.order), "notes": list(found.notes)}  # fmt: skip
