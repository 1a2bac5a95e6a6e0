"""What a crontab and the records of a host come to."""

from __future__ import annotations

import json

import pytest

from kitestring.clients.cron import cron_entry, record_of
from kitestring.clients.systemd import timer_of
from kitestring.drift import run_drift
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


@pytest.fixture
def with_units(spec_from, tmp_path, crontab):
    """A spec that names a folder of units, in which those of its backup and drift are."""
    units = tmp_path / "units"
    units.mkdir()
    loaded = spec_from(("objectives:", f"day2: {{units: {units}}}\nobjectives:"))
    for task in ("backup", "drift"):
        timer = timer_of(loaded, task)
        assert timer.folder == units
        for file, text in zip(timer.files, (timer.service, timer.timer), strict=True):
            file.write_text(text)
    return loaded


def told(loaded, clean):
    seen = probe_tasks(loaded, None, clean)
    return [
        (f.check, f.subject.split("/", 2)[2].split("/")[0], f.expected, f.observed)
        for f in run_drift(loaded, seen, only=["schedule"]).findings
    ]


def test_units_as_the_spec_has_them_say_nothing_whatever_interpreter_they_name(with_units, clean):
    service, _ = timer_of(with_units, "backup").files
    program = service.read_text().split("ExecStart=")[1].split(" -m ")[0]
    service.write_text(
        service.read_text().replace(program, '"/opt/py thon/bin/python"') + "; mine\n"
    )
    assert {one.task for one in probe_tasks(with_units, None, clean).tasks} == {"backup", "drift"}
    assert told(with_units, clean) == []


def test_an_edited_timer_is_found(with_units, clean):
    _, timer = timer_of(with_units, "backup").files
    timer.write_text(timer.read_text().replace("01:30:00", "05:30:00"))
    assert told(with_units, clean) == [
        ("schedule.timer", "backup", "OnCalendar=*-*-* 01:30:00", "OnCalendar=*-*-* 05:30:00")
    ]


def test_another_command_a_drop_in_a_mask_and_a_lost_unit_are_found(with_units, clean):
    service, timer = timer_of(with_units, "backup").files
    service.write_text(service.read_text().replace("scheduled backup", "scheduled compaction"))
    beside = timer.with_name(f"{timer.name}.d")
    beside.mkdir()
    (beside / "override.conf").write_text("[Timer]\nOnCalendar=yearly\n")
    masked, lost = timer_of(with_units, "drift").files
    masked.unlink()
    masked.symlink_to("/dev/null")
    lost.unlink()
    found = [(task, observed) for _, task, _, observed in told(with_units, clean)]
    assert [task for task, _ in found] == ["backup", "backup", "drift", "drift"]
    assert "scheduled compaction" in found[0][1]
    assert found[1][1] == "[Timer], OnCalendar=yearly"
    assert [observed for _, observed in found[2:]] == ["nothing", "no file"]
