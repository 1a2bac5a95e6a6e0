"""systemd timers: written once, repaired, taken away; never claimed where systemd does not run."""

from __future__ import annotations

from pathlib import Path

import pytest

CRON = "tests/ansible/cron_entry.yml"
SPEC = """\
version: 1
cluster: {name: test}
connection: {uri: "http://127.0.0.1:1"}
state: state
storage: {type: local, path: milvus}
backup: {store: {type: local, path: backups}}
objectives: {rpo: 24h, rto: 10m}
day2: {backup: {every: 6h}, compaction: {at: "02:15"}}
"""
UNITS = "Keep the units of the backup"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.yaml"
    file.write_text(SPEC)
    return file


@pytest.mark.skipif(
    Path("/run/systemd/system").exists(), reason="systemd runs here: the timers would be started"
)
def test_units_are_written_once_repaired_and_taken_away(play, spec, table, tmp_path):
    units = tmp_path / "units"
    plain = [f"cron_entry_unit_folder={units}"]
    timers = [*plain, "cron_entry_via=systemd"]
    table.write_text(f"#Ansible: kitestring backup of test ({spec})\n30 1 * * * scheduled backup\n")

    foretold = play(CRON, spec, "--check", "--diff", variables=timers)
    assert foretold.code == 0, foretold.output
    assert UNITS in foretold.changed_tasks()
    assert not units.exists()

    first = play(CRON, spec, variables=timers)
    assert first.code == 0, first.output
    assert first.output.count("NOT SCHEDULED: systemd does not run on this host") == 2
    assert "backup scheduled=False" in first.output
    assert "scheduled backup" not in table.read_text()
    assert len(list(units.iterdir())) == 4
    (timer,) = units.glob("kitestring-test-backup-*.timer")
    assert "OnCalendar=*-*-* 00/6:00:00\n" in timer.read_text()

    assert play(CRON, spec, "--diff", variables=timers).changed == 0
    timer.write_text(timer.read_text().replace("00/6", "00/12"))
    repaired = play(CRON, spec, variables=timers)
    assert repaired.changed_tasks() == [UNITS]
    assert "00/6:00:00" in timer.read_text()

    back = play(CRON, spec, variables=plain)
    assert back.code == 0, back.output
    assert list(units.iterdir()) == []
    assert "scheduled backup" in table.read_text()
