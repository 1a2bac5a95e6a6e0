"""Cron lines, and whether a host would run them."""

from __future__ import annotations

import shlex
import stat

import pytest

from kitestring.clients.cron import cron_entry, probe_cron, secrets_of_environment


def test_the_entry_takes_its_time_from_the_spec(spec_from, tmp_path):
    storage = "storage: {type: local, path: milvus}"
    loaded = spec_from((storage, f'{storage}\nday2: {{backup: {{at: "09:05"}}}}'))
    entry = cron_entry(loaded, "backup", "/opt/py/bin/python")
    assert entry.line == (
        f"5 9 * * * /opt/py/bin/python -m kitestring scheduled backup "
        f"--spec {tmp_path}/cluster.yaml"
    )
    assert cron_entry(loaded, "compaction").line.startswith("0 2 * * * ")


@pytest.mark.parametrize(
    ("day2", "backup", "drill"),
    [
        ("backup: {every: 1h}", "0 * * * *", "30 3 * * 0"),
        ("backup: {every: 6h}", "0 */6 * * *", "30 3 * * 0"),
        ('backup: {at: "22:45"}', "45 22 * * *", "45 0 * * 0"),
        ('drill: {at: "05:00"}', "30 1 * * *", "0 5 * * 0"),
        ('drill: {at: "05:00", weekday: wednesday}', "30 1 * * *", "0 5 * * 3"),
        ("drill: {weekday: friday}", "30 1 * * *", "30 3 * * 5"),
    ],
)
def test_backups_of_every_hour_and_drills_on_a_day(spec_from, day2, backup, drill):
    storage = "storage: {type: local, path: milvus}"
    loaded = spec_from((storage, f"{storage}\nday2: {{{day2}}}"))
    assert cron_entry(loaded, "backup").line.startswith(f"{backup} ")
    assert cron_entry(loaded, "drill").line.startswith(f"{drill} ")
    assert "-m kitestring scheduled drill --spec" in cron_entry(loaded, "drill").line


def test_two_specs_have_two_entries(spec_from, tmp_path):
    one = cron_entry(spec_from(), "backup")
    other = cron_entry(spec_from(("{name: test}", "{name: second}")), "backup")
    assert one.name != other.name
    assert cron_entry(spec_from(), "compaction").name not in (one.name, other.name)


def test_paths_that_a_shell_or_cron_would_take_apart(spec_from, tmp_path):
    loaded = spec_from()
    folder = tmp_path / "100% mine; really"
    folder.mkdir()
    moved = folder / "cluster.yaml"
    loaded.file.rename(moved)
    from kitestring.spec.load import load

    job = cron_entry(load(moved), "backup", "/py").job
    assert "%" not in job.replace(r"\%", "")
    as_cron_runs_it = job.replace(r"\%", "%")
    assert str(moved) in shlex.split(as_cron_runs_it)


def test_secrets_of_the_environment_are_named(spec_from):
    connection = 'connection: {uri: "http://127.0.0.1:19530"}'
    loaded = spec_from(
        (connection, 'connection: {uri: "http://127.0.0.1:19530", token: {env: MY_TOKEN}}')
    )
    assert secrets_of_environment(loaded) == ("MY_TOKEN",)
    by_file = spec_from(
        (connection, 'connection: {uri: "http://127.0.0.1:19530", token: {file: token.txt}}')
    )
    assert secrets_of_environment(by_file) == ()


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose `crontab` prints `stderr` and ends with `code`; None for no crontab."""

    def make(code: int | None, stderr: str = "", processes: tuple[str, ...] = ()):
        folder = tmp_path / "bin"
        folder.mkdir()
        if code is not None:
            program = folder / "crontab"
            program.write_text(f"#!/bin/sh\necho {shlex.quote(stderr)} >&2\nexit {code}\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(folder))
        proc = tmp_path / "proc"
        for n, name in enumerate(processes):
            (proc / str(n)).mkdir(parents=True)
            (proc / str(n) / "comm").write_text(name + "\n")
        return probe_cron(proc)

    return make


@pytest.mark.parametrize(
    ("code", "stderr", "processes", "expected"),
    [
        (None, "", ("cron",), (False, False, "this host has no `crontab`")),
        (0, "", ("init", "cron"), (True, True, "")),
        (1, "no crontab for root", ("crond",), (True, True, "")),
        (0, "", ("init",), (True, False, "no cron daemon runs on this host")),
        (
            1,
            "You (joe) are not allowed to use this program (crontab)",
            ("cron",),
            (False, False, "You (joe) are not allowed to use this program (crontab)"),
        ),
    ],
)
def test_what_a_host_can_do(host, code, stderr, processes, expected):
    found = host(code, stderr, processes)
    assert (found.usable, found.daemon, found.reason) == expected
