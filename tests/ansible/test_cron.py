"""Cron entries: written once, repaired, never claimed where nothing would run them.

The `crontab` here is a stand-in that keeps its table in a file; Ansible's cron module drives it as
it does the real one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ansible.conftest import lines
from tests.hearing import http_server, smtp_server
from tests.waiting import until

CRON = "tests/ansible/cron_entry.yml"
SPEC = """\
version: 1
cluster: {name: test}
connection: {uri: "http://127.0.0.1:1"}
state: state
storage: {type: local, path: milvus}
backup: {store: {type: local, path: backups}}
objectives: {rpo: 24h, rto: 10m}
day2: {backup: {at: "01:30"}, compaction: {at: "02:15"}}
"""
REFUSING = """\
#!/bin/sh
echo "You (joe) are not allowed to use this program (crontab)" >&2
exit 1
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.yaml"
    file.write_text(SPEC)
    return file


@pytest.fixture
def path_with(tmp_path: Path):
    """A PATH with the programs of this machine, and `crontab` as given instead of its own."""

    def make(crontab: str | None) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        for directory in ("/usr/bin", "/bin"):
            for program in Path(directory).iterdir():
                link = folder / program.name
                if program.name != "crontab" and not link.exists():
                    link.symlink_to(program)
        if crontab is not None:
            (folder / "crontab").write_text(crontab)
            (folder / "crontab").chmod(0o755)
        return {"PATH": str(folder)}

    return make


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[None]:
    """A process that is called `cron`, as the daemon is."""
    program = tmp_path / "cron"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    process = subprocess.Popen([str(program), "600"])
    yield
    process.kill()
    process.wait()


def no_daemon() -> bool:
    names = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            names.append(comm.read_text().strip())
        except OSError:
            continue
    return not {"cron", "crond"} & set(names)


def test_no_crontab_is_said_and_nothing_is_claimed(play, spec, path_with):
    run = play(CRON, spec, env=path_with(None))
    assert run.code == 0, run.output
    assert run.changed == 0
    assert run.output.count("NOT SCHEDULED: this host has no `crontab`") == 2
    assert "the entry that would have been written" in run.output
    assert re.search(r'"30 1 \* \* \* \S+ -m kitestring scheduled backup --spec ', run.output)
    assert "backup scheduled=False" in run.output
    assert not (spec.parent / "state").exists()


def test_a_user_who_may_not_write_entries(play, spec, path_with):
    run = play(CRON, spec, env=path_with(REFUSING))
    assert run.code == 0, run.output
    assert run.changed == 0
    assert "NOT SCHEDULED: You (joe) are not allowed" in run.output
    assert "backup scheduled=False" in run.output


def test_entries_are_written_once_and_repaired(play, spec, table, daemon):
    foretold = play(CRON, spec, "--check", "--diff")
    assert foretold.code == 0, foretold.output
    assert "Keep the cron entry of the backup" in foretold.changed_tasks()
    assert "backup scheduled=False" in foretold.output
    assert not table.exists()

    table.write_text("5 5 * * * somebody else's\n")
    first = play(CRON, spec)
    assert first.code == 0, first.output
    assert "backup scheduled=True" in first.output
    assert "NOT SCHEDULED" not in first.output
    written = lines(table)
    assert [line.split(" * * * ")[0] for line in written] == ["5 5", "30 1", "15 2"]

    second = play(CRON, spec, "--check", "--diff")
    assert second.changed == 0
    assert "backup scheduled=True" in second.output

    table.write_text(table.read_text().replace("30 1 *", "30 4 *"))
    repaired = play(CRON, spec, "--diff")
    assert repaired.changed_tasks() == ["Keep the cron entry of the backup"]
    assert re.search(r"^-30 4 \* \* \* ", repaired.output, re.M)
    assert re.search(r"^\+30 1 \* \* \* ", repaired.output, re.M)
    assert lines(table) == written

    away = play(CRON, spec, variables=["compaction_wanted=false"])
    assert away.changed_tasks() == ["Keep the cron entry of the compaction"]
    assert lines(table) == written[:2]
    assert "compaction scheduled=False" in away.output


def test_drills_and_hourly_backups_are_scheduled(play, spec, table, daemon):
    day2 = "day2: {backup: {every: 6h}, drill: {at: '05:10', weekday: wednesday}}\n"
    spec.write_text(SPEC.replace(SPEC[SPEC.index("day2:") :], day2))
    first = play("playbooks/day2.yml", spec, "--tags", "drill")
    assert first.code == 0, first.output
    assert first.changed_tasks() == [
        "Keep the log folder of the drill",
        "Keep the cron entry of the drill",
    ]
    (line,) = lines(table)
    assert re.match(r"10 5 \* \* 3 \S+ -m kitestring scheduled drill --spec ", line)
    assert play("playbooks/day2.yml", spec, "--tags", "drill").changed == 0

    run = play(CRON, spec)
    assert run.code == 0, run.output
    assert [line.split(" /")[0] for line in lines(table)] == [
        "10 5 * * 3",
        "0 */6 * * *",
        "0 2 * * *",
    ]


def test_an_entry_that_no_daemon_runs_is_not_called_scheduled(play, spec, table):
    if not no_daemon():
        pytest.skip("a cron daemon runs on this machine")
    run = play(CRON, spec)
    assert run.code == 0, run.output
    assert len(lines(table)) == 2
    assert "NOT SCHEDULED: no cron daemon runs on this host" in run.output
    assert "backup scheduled=False" in run.output


def test_the_very_line_runs_in_a_bare_environment(play, spec_for, unique, filled, table, milvus):
    """As cron runs it: no environment, another working directory. Twice at once: one gives way."""
    from kitestring.backup.catalog import open_catalog
    from kitestring.clients.exclusive import exclusive

    loaded = spec_for({"name": unique()})
    filled(loaded)
    run = play(CRON, loaded.file)
    assert run.code == 0, run.output
    backup, compaction = (line.split(" * * * ", 1)[1] for line in lines(table))

    assert as_cron(backup) == 0
    assert len(open_catalog(loaded).summaries()) == 1
    assert as_cron(compaction) == 0
    log = loaded.state_dir / "logs" / "compaction" / "compaction.log"
    assert "within the policy" in log.read_text()

    with exclusive(loaded.state_dir / "compaction.lock", "compaction"):
        assert as_cron(compaction) == 1
    assert "another compaction of this cluster is under way" in log.read_text()
    with exclusive(loaded.state_dir / "schedules" / "compaction.lock", "compaction"):
        assert as_cron(compaction) == 1


def as_cron(line: str) -> int:
    return subprocess.run(
        ["env", "-i", "sh", "-c", line], cwd=os.sep, timeout=120, check=False
    ).returncode


@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("cron") or not shutil.which("unshare"),
    reason="needs root, `cron` and `unshare`",
)
def test_a_real_daemon_runs_the_line_and_somebody_is_told(play, spec, table, tmp_path):
    """Debian's cron, in a mount namespace in which the crontab is the test's own."""
    with smtp_server() as box, http_server() as posted:
        mail = {"to": ["a@example.com"], "sender": "k@example.com", "port": box.port}
        day2 = {
            "notify": ["sh", "-c", "cat >told"],
            "mail": {**mail, "host": "127.0.0.1"},
            "webhook": {"url": posted.url},
        }
        line = f"day2: {json.dumps(day2)}\n"
        spec.write_text(SPEC.replace(SPEC[SPEC.index("day2:") :], line))
        run_by_cron(play, spec, table, tmp_path, lambda: box.messages and posted.documents)
        said = "kitestring backup of test ended with exit code 1"
        assert said in (spec.parent / "told").read_text()
        assert said in box.messages[0]["Subject"]
        assert "127.0.0.1:1" in box.messages[0].get_payload()
        assert posted.documents[0]["subject"].startswith(said)
        assert posted.documents[0]["exit_code"] == 1


def run_by_cron(play, spec, table, tmp_path, told):
    """Lets cron run the entry until `told()`, and looks at what is left of the run."""
    assert play(CRON, spec, variables=["compaction_wanted=false"]).code == 0
    (line,) = lines(table)
    spool = tmp_path / "spool"
    (spool / "crontabs").mkdir(parents=True)
    crontab = spool / "crontabs" / "root"
    crontab.write_text(f"* * * * * {line.split(' ', 5)[5]}\n")
    crontab.chmod(0o600)
    empty = tmp_path / "empty"
    empty.mkdir()
    private = (
        f"mount --bind {spool} /var/spool/cron && mount --bind {empty} /etc/cron.d && "
        "mount -t tmpfs tmpfs /run && exec cron -f"
    )
    daemon = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", private]
    )
    try:
        until(told, timeout=150)
        record = spec.parent / "state" / "schedules" / "backup.json"
        assert '"exit_code": 1' in record.read_text()
        log = (spec.parent / "state" / "logs" / "backup" / "backup.log").read_text()
        assert "127.0.0.1:1" in log
        metrics = record.with_name("kitestring_test_backup.prom").read_text()
        assert "kitestring_task_exit_code" in metrics
    finally:
        daemon.terminate()
        daemon.wait(30)
