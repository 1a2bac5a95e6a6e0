"""What arithmetic leaves out, measured on a real server: `python -m tests.bench capacity`.

Each collection below was loaded by a server that had just been started; its resident set before
and after gives the bytes. The three factors are those whose relative errors have the least squares,
rounded. DISKANN was not measured: the server of the wheel did not come up again with one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from kitestring.capacity.size import index_size
from kitestring.model.collection import Field

SERVER = "2.3.5"
"""The version that was measured."""
KEY_BYTES = 64  # of the primary keys of the measured rows


@dataclass(frozen=True, slots=True)
class Measured:
    """A collection that was loaded. `text` is the length of a text that each row had, in bytes."""

    rows: int
    dim: int
    index: str
    params: Mapping[str, int] = field(default_factory=dict)
    text: int = 0
    mebibytes: int = 0

    @property
    def name(self) -> str:
        """Such as `HNSW M=16 100,000 x 128, text 600`."""
        parts = " ".join([self.index, *(f"{k}={v}" for k, v in self.params.items())])
        text = f", text {self.text}" if self.text else ""
        return f"{parts} {self.rows:,} x {self.dim}{text}"

    @property
    def index_bytes(self) -> float:
        vector = Field("embedding", "FLOAT_VECTOR", dim=self.dim)
        return index_size(self.index, self.params, vector, self.rows).memory

    @property
    def scalar_bytes(self) -> float:
        return float(self.rows * (KEY_BYTES + self.text))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How loaded bytes follow from counted ones, for one replica:

    `index_factor` x index + `row_bytes` x rows + `scalar_factor` x scalar fields
    """

    index_factor: float
    row_bytes: float
    scalar_factor: float

    def loaded(self, index: float, rows: float, scalars: float) -> float:
        """Bytes that a replica takes of its query nodes' memory."""
        return self.index_factor * index + self.row_bytes * rows + self.scalar_factor * scalars

    def of(self, measured: Measured) -> float:
        """Bytes that a measured collection should have taken."""
        return self.loaded(measured.index_bytes, measured.rows, measured.scalar_bytes)

    def error(self, measured: Measured) -> float:
        """The relative error of the prediction: 0.1 is a tenth too much."""
        return self.of(measured) / (measured.mebibytes * 2**20) - 1


MEASURED: tuple[Measured, ...] = (
    Measured(100_000, 128, "FLAT", {}, text=0, mebibytes=110),
    Measured(100_000, 128, "FLAT", {}, text=600, mebibytes=261),
    Measured(200_000, 128, "FLAT", {}, text=0, mebibytes=203),
    Measured(200_000, 128, "FLAT", {}, text=600, mebibytes=506),
    Measured(100_000, 384, "FLAT", {}, text=0, mebibytes=215),
    Measured(100_000, 128, "HNSW", {"M": 16}, text=0, mebibytes=92),
    Measured(100_000, 128, "HNSW", {"M": 32}, text=0, mebibytes=126),
    Measured(50_000, 384, "HNSW", {"M": 16}, text=0, mebibytes=107),
    Measured(200_000, 128, "IVF_FLAT", {"nlist": 256}, text=0, mebibytes=196),
    Measured(100_000, 384, "IVF_FLAT", {"nlist": 256}, text=0, mebibytes=200),
    Measured(100_000, 128, "IVF_PQ", {"nlist": 128, "m": 16, "nbits": 8}, text=0, mebibytes=44),
    Measured(200_000, 128, "IVF_SQ8", {"nlist": 256}, text=0, mebibytes=109),
    Measured(100_000, 128, "SCANN", {"nlist": 128}, text=0, mebibytes=104),
)
CHECKED = (Measured(400_000, 96, "IVF_SQ8", {"nlist": 256}, text=200, mebibytes=339),)
"""Collections that the factors are not from: they say what to expect of another one."""
CALIBRATION = Calibration(index_factor=1.1, row_bytes=245.0, scalar_factor=2.9)
IDLE_QUERY_NODE = 300 * 2**20
"""Memory of a query node that holds nothing, with what searches take on the way. Not measured
apart: the whole standalone server has 220 MiB after its start."""
IDLE_STANDALONE = 1024 * 2**20
"""Memory of a standalone server that holds nothing, with the buffers of writes and the log."""


@cache
def worst_error() -> float:
    """The largest relative error over all measured collections."""
    return max(abs(CALIBRATION.error(m)) for m in (*MEASURED, *CHECKED))


def calibration_text() -> str:
    """Where the factors are from, and how far off they are."""
    return (
        f"calibrated on Milvus {SERVER}: {len(MEASURED) + len(CHECKED)} loaded collections, "
        f"each within {worst_error():.0%} of what the plan says"
    )
