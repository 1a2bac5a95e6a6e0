"""Configuration drift of the server: settings of milvus.yaml that are not the spec's."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.checks.base import check
from kitestring.model.evidence import Evidence
from kitestring.model.finding import Finding, Severity
from kitestring.model.settings import SettingsSeen
from kitestring.model.snapshot import Snapshot
from kitestring.spec.loaded import LoadedSpec

SERVER = "config.server"


def server(loaded: LoadedSpec, snapshot: Snapshot) -> Iterator[Finding]:
    """Settings that a process of the server has otherwise than the spec."""
    deployment = loaded.spec.deployment
    wanted = deployment.config if deployment else {}
    seen = snapshot.settings or SettingsSeen(reason="they were not read")
    subject, at = f"{loaded.spec.cluster.name}/settings", loaded.locate("deployment", "config")
    if seen.reason:
        yield Finding(
            SERVER,
            Severity.WARN,
            subject,
            f"the server's settings could not be read: {seen.reason}",
            expected="those that the server tells",
            observed="none",
            hint="may the user of `connection` ask for the metrics of the server?",
            location=at,
            inconclusive=True,
        )
        return
    told = {key.lower(): values for key, values in seen.values.items()}  # as Milvus reads them
    untold = sorted(key for key in wanted if key.lower() not in told)
    for key, value in sorted(wanted.items()):
        others = {
            process: there
            for process, there in sorted(told.get(key.lower(), {}).items())
            if not _same(value, there)
        }
        if others:
            yield Finding(
                SERVER,
                Severity.FAIL,
                f"{subject}/{key}",
                f"`{key}` is another than the spec's on {', '.join(others)}",
                expected=str(value),
                observed=", ".join(dict.fromkeys(others.values())),
                hint="`kitestring provision diff` tells whether the manifests have it; processes "
                "take a setting when they start",
                location=loaded.locate("deployment", "config", key),
            )
    if untold:
        yield Finding(
            SERVER,
            Severity.INFO,
            subject,
            f"the server does not tell {', '.join(f'`{key}`' for key in untold)}: not compared",
            expected="settings that the server tells",
            observed=f"{len(wanted) - len(untold)} of {len(wanted)}",
            hint="`infra.changed` compares the manifests that they are in",
            location=at,
        )


def _same(value: str | int | float | bool, there: str) -> bool:
    """A number is the same however it is written; `true` and `True` are."""
    try:
        return float(value) == float(there)
    except ValueError:
        return str(value).lower() == there.lower()


def _no_settings(loaded: LoadedSpec) -> str:
    deployment = loaded.spec.deployment
    return "" if deployment and deployment.config else "has no `deployment.config`"


CHECKS = (
    check(
        SERVER,
        "The server's processes have the spec's settings",
        server,
        meaning="A process of the server tells another value of a setting that `deployment.config` "
        "has. A server tells a few only: `dataCoord.segment.maxSize`, "
        "`dataNode.segment.insertBufSize`, `rootCoord.minSegmentSizeToEnableIndex`, "
        "`common.simdType`, `common.defaultPartitionName`, `common.defaultIndexName` and "
        "`minio.bucketName`; for information the finding names the others of the spec. Left out "
        "of specs without `deployment.config`.",
        cause="A ConfigMap was edited, a setting was changed at run time, or a process runs on "
        "with the settings that it was started with.",
        mend="Bring the manifests back to the spec, and restart the process that is named.",
        evidence=Evidence.SETTINGS,
        unasked=_no_settings,
    ),
)
