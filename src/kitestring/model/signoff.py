"""A sign-off: what a model gave for stored texts at a time when the vectors were right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SIGN_OFF_VERSION = 1


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What makes a model give the vectors that it gives.

    `parameters` are those that change vectors; addresses, keys and sizes of batches are not.
    """

    label: str
    provider: str
    dimension: int
    normalize: bool
    parameters: Mapping[str, str]
    probes: str  # SHA-256 of the vectors of the probe texts, rounded

    def differences(self, other: Fingerprint) -> tuple[str, ...]:
        """What of the settings is another in `other`: `dimension: 64, then 32`; without probes."""
        mine, theirs = self._settings(), other._settings()
        return tuple(
            f"{name}: {mine.get(name, '(none)')}, now {theirs.get(name, '(none)')}"
            for name in sorted({*mine, *theirs})
            if mine.get(name) != theirs.get(name)
        )

    def _settings(self) -> dict[str, str]:
        own = {
            "provider": self.provider,
            "dimension": str(self.dimension),
            "normalize": str(self.normalize).lower(),
        }
        return {**own, **{f"options.{k}": v for k, v in self.parameters.items()}}


@dataclass(frozen=True, slots=True)
class SignOff:
    """The reference that later checks compare with. Arrays are base64 of little-endian float32.

    `cosines`, ascending: of each stored vector of the reference with its own text embedded again.
    """

    cluster: str
    collection: str
    fingerprint: Fingerprint
    signed_at: int  # ms since the epoch
    seed: str  # of the choice of rows
    population: int  # rows that carried the model's label, or all where rows carry none
    cosines: tuple[float, ...]
    repeatability: float  # the least cosine of a text embedded twice; 1 for a repeatable model
    probes: str  # vectors of the probe texts, by the encoder that searches use
    vectors: str  # stored vectors, to compare the content with
    accepted: tuple[str, ...] = ()  # what was found, and signed off all the same
    schema_version: int = SIGN_OFF_VERSION

    @property
    def tau(self) -> float:
        """The least cosine of the reference."""
        return self.cosines[0]
