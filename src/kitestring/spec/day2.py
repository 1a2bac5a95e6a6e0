"""What the schedules do, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from kitestring.spec.notify import Mail, Webhook
from kitestring.spec.types import Duration, Model, TimeOfDay, across
from kitestring.spec.window import Window


class CompactionPolicy(Model):
    """When a collection is compacted."""

    at: TimeOfDay = Field("02:00", description="when the schedule looks; hours and minutes")
    max_segments: int = Field(8, ge=1, description="more segments than these are compacted")
    max_deleted_ratio: float = Field(
        0.2, gt=0, lt=1, description="a larger share of deleted rows is compacted"
    )
    window: Window | None = Field(
        None,
        description="no compaction is started outside of these times of day, by the host's clock",
    )
    deadline: Duration = Field(3600.0, description="how long one collection may take")
    headroom: float = Field(
        2.0,
        ge=1,
        le=100,
        description="a compaction is refused where less than this many times the files of the "
        "collection's segments is free on their disk",
    )
    volume: str | None = Field(
        None,
        min_length=1,
        description="directory on the disk that holds the segments, where `storage` is S3 and "
        "this host has that disk mounted",
    )


_NIGHT = "01:30"


class BackupSchedule(Model):
    """When backups are made, and what is done after each: verified, and pruned by the retention."""

    at: TimeOfDay | None = Field(
        _NIGHT, description="once a day: hours and minutes; none where there is `every`"
    )
    every: Duration | None = Field(None, description="instead of `at`: at least this often")
    verify: Literal["list", "sample", "full"] | None = Field(
        None,
        description="each new backup is verified by this tier; omit for no more than what making "
        "it reads back",
    )

    @model_validator(mode="before")
    @classmethod
    def _one(cls, data: Any) -> Any:
        """`every` takes the place of the time of day that is the default."""
        if isinstance(data, Mapping) and data.get("every") is not None and "at" not in data:
            return {**data, "at": None}
        return data

    @property
    def start(self) -> str:
        """The time of day by which other jobs are placed, too."""
        return self.at or _NIGHT

    @property
    def gap(self) -> float:
        """Seconds between two backups."""
        return self.every or 86400.0


class DrillSchedule(Model):
    """When a restore is drilled; as often as `objectives.drill_every` asks for."""

    at: TimeOfDay | None = Field(
        None, description="hours and minutes; two hours after the time of backups by default"
    )
    weekday: (
        Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] | None
    ) = Field(None, description="once a week, on this day")
    target: Literal["embedded", "kubernetes"] = Field(
        "embedded",
        description="where drills restore that a host schedules: a second server on it, or one "
        "that is made from `deployment` in a namespace of its own",
    )
    target_spec: str | None = Field(
        None,
        min_length=1,
        description="instead of `target`: spec of another cluster to restore to, into a database "
        "that is dropped again",
    )

    @model_validator(mode="after")
    def _one_target(self) -> DrillSchedule:
        if self.target_spec is not None and "target" in self.model_fields_set:
            raise across("`target` and `target_spec` are two targets: keep one of them")
        return self


class EmbeddingSchedule(Model):
    """When the model of every row is looked at."""

    at: TimeOfDay = Field("04:30", description="hours and minutes")


class DriftSchedule(Model):
    """How often the cluster is compared with its spec."""

    every: Duration = Field(21600.0, description="at least this often")


class Day2(Model):
    """What Ansible keeps true on the host that runs the schedules, and CronJobs on Kubernetes."""

    compaction: CompactionPolicy = Field(
        CompactionPolicy(), description="when collections are compacted"
    )
    backup: BackupSchedule = Field(BackupSchedule(), description="when backups are made")
    drill: DrillSchedule = Field(DrillSchedule(), description="when a restore is drilled")
    embedding: EmbeddingSchedule = Field(EmbeddingSchedule(), description="when models are checked")
    drift: DriftSchedule = Field(DriftSchedule(), description="how often drift is looked for")
    textfiles: str | None = Field(
        None,
        description="directory of node_exporter's textfile collector, for metrics of scheduled "
        "tasks on a host",
    )
    units: str | None = Field(
        None,
        min_length=1,
        description="directory of the systemd units of scheduled tasks on a host; omit for "
        "`/etc/systemd/system`, or the user's own without root",
    )
    notify: list[str] = Field(
        [],
        description="a command and its arguments, run when a scheduled task on a host does not end "
        "well; what happened is on its standard input",
    )
    mail: Mail | None = Field(
        None, description="mail when a scheduled task on a host does not end well"
    )
    webhook: Webhook | None = Field(
        None, description="a webhook that is told when a scheduled task on a host does not end well"
    )
