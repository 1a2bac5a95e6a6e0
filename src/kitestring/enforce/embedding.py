"""Whether stored rows were embedded by the model that the spec names. It changes nothing.

Labels always; the vectors themselves where the spec asks for a canary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kitestring.model.finding import Finding, Severity, Verdict
from kitestring.model.report import DriftReport
from kitestring.spec.loaded import LoadedSpec

# a collection that is not there has no rows of another model
_NO_ROWS = "schema.missing-collection"
FAMILY = "embedding"


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """`wrong` rows or encoders are of another model; of `unknown` ones it can't be told; `doubtful`
    are warnings."""

    wrong: tuple[Finding, ...]
    unknown: tuple[Finding, ...]
    doubtful: tuple[Finding, ...]
    models: dict[str, dict[str, int]]  # collection -> label -> rows

    @property
    def verdict(self) -> Verdict:
        if self.wrong:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.unknown else Verdict.PASS

    @staticmethod
    def lines(findings: Iterable[Finding]) -> list[str]:
        return [
            f"{f.subject}: {f.message} (expected {f.expected}; observed {f.observed})"
            for f in findings
        ]

    def as_dict(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict.value,
            "findings": [f.as_dict() for f in (*self.wrong, *self.unknown, *self.doubtful)],
            "models": self.models,
        }


def check_models(loaded: LoadedSpec) -> ModelCheck:
    """Reads the label of every row, and takes the canaries that the spec asks for.

    Raises:
        MilvusError, LocalNotRunning, SecretMissing: the server could not be observed.
    """
    from kitestring.drift.run import detect

    return judge(detect(loaded, only=[FAMILY]))


def judge(report: DriftReport) -> ModelCheck:
    """The part of a drift report that tells about models. Pure."""
    findings = [f for f in report.counted if f.check != _NO_ROWS]
    mine = [f for f in findings if f.check.startswith(f"{FAMILY}.") and not f.inconclusive]
    return ModelCheck(
        wrong=tuple(f for f in mine if f.severity is Severity.FAIL),
        unknown=tuple(f for f in findings if f.inconclusive),
        doubtful=tuple(f for f in mine if f.severity is not Severity.FAIL),
        models={
            name: dict(seen.census.models)
            for name, seen in report.snapshot.collections.items()
            if seen.census is not None and seen.census.models is not None
        },
    )
