"""Which files of tests come first: a worker that gets a long one last leaves the others idle.

Files go to the workers whole (`--dist loadfile --no-loadscope-reorder`), in the order in which
pytest has them. Put a file here when `--durations` shows it to take more than half a minute.
"""

from __future__ import annotations

from pathlib import Path

_TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "integration/test_demo.py",
    "integration/test_drill.py",
    "integration/test_ingest.py",
    "ansible/test_objects.py",
    "integration/test_backup_create.py",
    "integration/test_logical.py",
    "integration/test_restore.py",
    "integration/test_backup.py",
    "integration/test_drill_targets.py",
    "ansible/test_day2.py",
    "integration/test_ingest_faults.py",
    "integration/test_bad_input.py",
    "integration/test_segments.py",
    "ansible/test_cron.py",
    "ansible/test_looking.py",
    "integration/test_reembed.py",
    "integration/test_drill_s3.py",
    "ansible/test_timer.py",
    "ansible/test_guarded_s3.py",
    "integration/test_drift_injection.py",
    "integration/test_backup_import.py",
)
_PLACES = {_TESTS / name: place for place, name in enumerate(LONGEST_FIRST)}
_SERVERS = (_TESTS / "integration", _TESTS / "ansible")


def place(file: Path) -> int:
    """Where a file stands: the long ones, then what starts servers or playbooks, then the rest."""
    quick = not any(file.is_relative_to(folder) for folder in _SERVERS)
    return _PLACES.get(file, len(_PLACES) + quick)
