"""What killed drills have left is swept, and nothing else."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from kitestring.drill.target import PREFIX, sweep


def test_the_directories_of_killed_drills_are_swept_and_others_stay(tmp_path: Path) -> None:
    for name in ("killed", "kept", "held"):
        (tmp_path / f"{PREFIX}{name}").mkdir()
        (tmp_path / f"{PREFIX}{name}" / "drill.lock").touch()
    (tmp_path / "kitestring-other").mkdir()
    (tmp_path / f"{PREFIX}kept" / "kept").touch()
    (tmp_path / f"{PREFIX}new").mkdir()
    for name in ("killed", "kept", "held"):
        os.utime(tmp_path / f"{PREFIX}{name}", (1, 1))
    with (tmp_path / f"{PREFIX}held" / "drill.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep(tmp_path)
        left = sorted(p.name for p in tmp_path.iterdir())
    assert left == [f"{PREFIX}held", f"{PREFIX}kept", f"{PREFIX}new", "kitestring-other"]
