"""What a drill has measured so far, and the record that it comes to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kitestring import __version__
from kitestring.drill.judge import judge, rto_seconds
from kitestring.errors import KitestringError
from kitestring.model.backup import BackupManifest, CollectionBackup
from kitestring.model.drill import PHASES, CollectionScore, DrillRecord, Phase
from kitestring.spec.loaded import LoadedSpec


@dataclass
class Progress:
    """Filled in while a drill runs; a record can be made of it at any moment."""

    manifest: BackupManifest  # of what is restored: a sample has fewer segments
    started_at: int
    sampled: float | None = None  # the part of the rows
    phases: dict[str, float] = field(default_factory=dict)
    scores: list[CollectionScore] = field(default_factory=list)
    differences: tuple[str, ...] | None = None  # of access; None: not compared
    notes: list[str] = field(default_factory=list)
    restored: bool = False
    answered: bool = False  # the restored copy gave a right answer
    failed: bool = False  # beyond what the objectives can say
    version: str = ""
    target: str = "embedded"

    def record(self, loaded: LoadedSpec, drill_id: str) -> DrillRecord:
        """The evidence so far."""
        manifest, wanted = self.manifest, loaded.spec.objectives
        rpo = (self.started_at - manifest.boundary) / 1000
        rto = rto_seconds(self.phases)
        full = sum(s for name, s in self.phases.items() if name != "target")
        objectives = judge(
            wanted,
            rpo=rpo,
            rto=rto if self.answered else None,
            full=full,
            scores=self.scores,
            expected=[c.name for c in manifest.collections],
            searched=[c.name for c in manifest.collections if _vector_indexes(c)],
            access=self.differences,
            sampled=self.sampled is not None,
        )
        return DrillRecord(
            id=drill_id,
            backup=manifest.id,
            cluster=loaded.spec.cluster.name,
            server_version=self.version or manifest.server_version,
            started_at=self.started_at,
            finished_at=now(),
            boundary=manifest.boundary,
            rpo_seconds=rpo,
            rto_seconds=rto,
            phases=tuple(Phase(n, self.phases[n]) for n in PHASES if n in self.phases),
            collections=tuple(self.scores),
            objectives=objectives,
            passed=not self.failed and self.answered and all(o.met for o in objectives),
            target=self.target,
            tool_version=__version__,
            notes=(*self.notes, *self._unsaid(wanted is None)),
            full_seconds=full,
            bytes=manifest.bytes,
            method=manifest.method,
            answered=self.answered,
            sampled=self.sampled,
            differences=self.differences or (),
        )

    def _unsaid(self, unjudged: bool) -> list[str]:
        notes = []
        if unjudged:
            notes.append("no objectives in the spec: RPO, RTO and recall are measured, not judged")
        if self.sampled is not None:
            notes.append(
                f"a sample of {self.sampled:.1%} of the rows was restored: it proves that those "
                "segments restore and answer; of the others, of the RTO and of the source's own "
                "answers it proves nothing"
            )
        return notes


def now() -> int:
    """ms since the epoch."""
    return int(time.time() * 1000)


def reason(error: BaseException) -> str:
    """Why a drill could not be carried out, for its record."""
    if isinstance(error, KeyboardInterrupt):
        return "the drill was interrupted"
    if isinstance(error, KitestringError):
        return f"the drill could not be carried out: {error.message}"
    return f"the drill ended with an internal error: {type(error).__name__}: {error}"


def _vector_indexes(collection: CollectionBackup) -> list[str]:
    vectors = {field.name for field in collection.schema.vectors}
    return [index.name for index in collection.indexes if index.field in vectors]
