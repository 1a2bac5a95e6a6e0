"""Units of scheduled tasks: systemd reads them, whatever the path of the spec is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kitestring.clients import systemd
from kitestring.clients.cron import VERBS
from kitestring.clients.systemd import probe_systemd, timer_of
from kitestring.spec.load import load


def test_units_have_the_spec_s_times(spec_from, tmp_path):
    made = timer_of(spec_from(), "backup", tmp_path)
    assert made.when == "*-*-* 01:30:00"
    assert f"OnCalendar={made.when}\n" in made.timer
    assert f"-m kitestring scheduled backup --spec {spec_from().file.resolve()}" in made.service
    assert not made.as_dict()["written"]
    made.files[0].write_text(made.service)
    assert made.as_dict()["written"]


def test_two_specs_have_two_units(spec_from, tmp_path):
    first = spec_from()
    other = tmp_path / "other.yaml"
    other.write_text(first.file.read_text())
    assert timer_of(first, "drift").unit != timer_of(load(other), "drift").unit


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed (Debian: systemd)",
)
def test_systemd_reads_them(spec_from, tmp_path):
    odd = tmp_path / """50% of "$HOME", it's; here"""
    odd.mkdir()
    spec = odd / "cluster.yaml"
    spec.write_text(spec_from().file.read_text())
    units = tmp_path / "units"
    units.mkdir()
    for task in VERBS:
        made = timer_of(load(spec), task, units)
        for file, text in zip(made.files, (made.service, made.timer), strict=True):
            file.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(units.iterdir()))],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    mine = [line for line in done.stderr.splitlines() if "kitestring" in line]
    assert (done.returncode, mine) == (0, []), done.stderr


def test_an_argument_is_one_to_systemd():
    assert systemd._quoted(sys.executable) == sys.executable
    assert systemd._quoted("a b") == '"a b"'
    assert systemd._quoted('50% "$X" \\') == '"50%% \\"$$X\\" \\\\"'


@pytest.mark.parametrize(
    ("user", "running", "linger", "told"),
    [
        (0, False, False, "systemd does not run on this host"),
        (0, True, False, ""),
        (1000, True, False, "`loginctl enable-linger joe`"),
        (1000, True, True, ""),
    ],
)
def test_what_a_host_can_do(monkeypatch, tmp_path: Path, user, running, linger, told):
    monkeypatch.setattr(systemd.os, "geteuid", lambda: user)
    monkeypatch.setattr(systemd.getpass, "getuser", lambda: "joe")
    if running:
        (tmp_path / "run/systemd/system").mkdir(parents=True)
    if linger:
        (tmp_path / "var/lib/systemd/linger/joe").mkdir(parents=True)
    host = probe_systemd(tmp_path)
    assert host.running is running
    assert told in host.reason
    assert bool(told) is bool(host.reason)
