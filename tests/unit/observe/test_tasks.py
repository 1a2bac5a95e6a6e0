"""What a crontab and the records of a host come to."""

from __future__ import annotations

import json

import pytest

from kitestring.clients.cron import cron_entry, record_of
from kitestring.observe.tasks import probe_tasks


@pytest.fixture
def crontab(tmp_path, monkeypatch):
    """Sets the table that the host's `crontab -l` prints; an empty one before."""
    table = tmp_path / "table"
    table.write_text("")
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec cat "{table}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return table.write_text


def test_a_host_without_entries_and_records_has_no_tasks(spec_from, clean, crontab):
    assert probe_tasks(spec_from(), None, clean).tasks == ()


def test_an_entry_is_told_apart_from_the_spec_but_not_by_its_interpreter(spec_from, clean, crontab):
    loaded = spec_from()
    backup, drift = (cron_entry(loaded, task, "/another/python") for task in ("backup", "drift"))
    edited = drift.line.replace("scheduled drift", "scheduled drift --quiet")
    crontab(
        f"1 1 * * * somebody else's\n#Ansible: {backup.name}\n{backup.line}\n"
        f"#Ansible: {drift.name}\n{edited}\n"
    )
    seen = {one.task: one for one in probe_tasks(loaded, None, clean).tasks}
    assert set(seen) == {"backup", "drift"}
    assert seen["backup"].line == seen["backup"].wanted
    assert seen["drift"].line != seen["drift"].wanted
    assert seen["backup"].ended is None


def test_a_record_tells_when_and_how_a_task_ended(spec_from, clean, crontab):
    loaded = spec_from()
    record = record_of(loaded, "compaction")
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"started": 1000, "seconds": 2.5, "exit_code": 1, "log": "/l"}))
    record_of(loaded, "backup").write_text("{half")
    (seen,) = probe_tasks(loaded, None, clean).tasks
    assert (seen.task, seen.ended, seen.exit_code, seen.line) == ("compaction", 3500, 1, "")
