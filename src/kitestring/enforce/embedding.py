"""Whether stored rows were embedded by the model that the spec names. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kitestring.checks.labels import MODEL
from kitestring.model.finding import Finding, Verdict
from kitestring.model.report import DriftReport
from kitestring.spec.loaded import LoadedSpec

# a collection that is not there has no rows of another model
_NO_ROWS = "schema.missing-collection"


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """`wrong` rows carry another model; of `unknown` ones it can't be told."""

    wrong: tuple[Finding, ...]
    unknown: tuple[Finding, ...]
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
            "findings": [f.as_dict() for f in (*self.wrong, *self.unknown)],
            "models": self.models,
        }


def check_models(loaded: LoadedSpec) -> ModelCheck:
    """Reads the label of every row.

    Raises:
        MilvusError, LocalNotRunning, SecretMissing: the server could not be observed.
    """
    from kitestring.drift.run import detect

    return judge(detect(loaded, only=[MODEL]))


def judge(report: DriftReport) -> ModelCheck:
    """The part of a drift report that tells about models. Pure."""
    findings = [f for f in report.counted if f.check != _NO_ROWS]
    return ModelCheck(
        wrong=tuple(f for f in findings if f.check == MODEL and not f.inconclusive),
        unknown=tuple(f for f in findings if f.inconclusive),
        models={
            name: dict(seen.census.models)
            for name, seen in report.snapshot.collections.items()
            if seen.census is not None and seen.census.models is not None
        },
    )
