"""What a command leaves out."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """\
import sys
from kitestring.cli.lean import leave_pandas_out
leave_pandas_out()
import pyarrow as pa
assert pa.array([1, 2]).to_numpy().tolist() == [1, 2]
print("pandas" in sys.modules)
import pandas
print(pa.array([1, 2]).to_pandas().tolist())
"""


def test_what_pyarrow_converts_does_not_bring_pandas_in() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["False", "[1, 2]"]
