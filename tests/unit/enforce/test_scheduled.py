"""A scheduled task: logged, measured, alone, and heard of when it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kitestring.clients.exclusive import exclusive
from kitestring.enforce import scheduled
from kitestring.enforce.scheduled import run_scheduled
from kitestring.errors import EnforceBusy, EnforceError


@pytest.fixture
def spec(spec_from, tmp_path):
    """A spec with `day2` of these lines."""
    storage = "storage: {type: local, path: milvus}"

    def make(**day2):
        return spec_from((storage, f"{storage}\nday2: {json.dumps(day2)}"))

    return make


@pytest.fixture
def runs(monkeypatch):
    """What the task runs, as a line of shell."""

    def set_to(script):
        monkeypatch.setattr(scheduled, "_command", lambda *_: ["sh", "-c", script])

    return set_to


def test_a_success_leaves_log_record_and_metrics(spec, runs, tmp_path):
    (tmp_path / "collector").mkdir()
    loaded = spec(textfiles="collector", notify=["sh", "-c", "touch told"])
    runs("echo all is well; echo and said >&2")
    done = run_scheduled(loaded, "drift")
    assert done.exit_code == 0
    assert Path(done.log).read_text().splitlines()[1:] == ["all is well", "and said"]
    record = json.loads((loaded.state_dir / "schedules" / "drift.json").read_text())
    assert (record["exit_code"], record["task"], record["cluster"]) == (0, "drift", "test")
    metrics = (tmp_path / "collector" / "kitestring_test_drift.prom").read_text()
    assert 'kitestring_task_exit_code{cluster="test",task="drift"} 0\n' in metrics
    assert "kitestring_task_end_timestamp_seconds" in metrics
    assert not (tmp_path / "told").exists()


def test_a_failure_is_told_with_the_end_of_what_it_said(spec, runs, tmp_path):
    loaded = spec(notify=["sh", "-c", 'cat >told; echo "$KITESTRING_EXIT_CODE" >code'])
    runs("seq 100; echo 'fail  rows.missing'; exit 2")
    done = run_scheduled(loaded, "drift")
    said = list(done.lines())
    assert "exit code 2 (drift, a failed check or a missed objective)" in said[0]
    assert "fail  rows.missing" in said
    assert "1" not in said
    assert said[-1] == f"the whole of it: {done.log}"
    assert (tmp_path / "told").read_text().splitlines() == said
    assert (tmp_path / "code").read_text() == "2\n"


@pytest.mark.parametrize("command", [["/no/such/program"], ["sh", "-c", "echo no >&2; exit 1"]])
def test_a_command_that_can_not_tell_is_told_of(spec, runs, command):
    runs("exit 1")
    assert (
        "`day2.notify` could not be told"
        in list(run_scheduled(spec(notify=command), "drift").lines())[-1]
    )


def test_it_does_not_run_twice_at_once(spec, runs):
    loaded = spec()
    runs("echo never")
    lock = loaded.state_dir / "schedules" / "backup.lock"
    with exclusive(lock, "backup"), pytest.raises(EnforceBusy):
        run_scheduled(loaded, "backup")
    assert not (loaded.state_dir / "logs").exists()


def test_logs_are_rotated_and_only_some_are_kept(spec, runs, monkeypatch):
    monkeypatch.setattr(scheduled, "LOG_BYTES", 10)
    loaded = spec()
    for number in range(8):
        runs(f"echo run {number}")
        log = Path(run_scheduled(loaded, "drift").log)
    names = sorted(f.name for f in log.parent.iterdir())
    assert names == ["drift.log", *(f"drift.log.{n}" for n in range(1, 6))]
    assert [log.with_name(n).read_text().split()[-1] for n in names] == list("765432")


def test_a_log_that_can_not_be_written_is_named(spec, runs):
    loaded = spec()
    runs("true")
    loaded.state_dir.mkdir(exist_ok=True)
    (loaded.state_dir / "logs").write_text("a file")
    with pytest.raises(EnforceError, match=r"the log .* can.t be written"):
        run_scheduled(loaded, "drift")


def test_a_request_to_end_reaches_the_task(spec, runs, tmp_path):
    loaded = spec()
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    code = f'import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); open("{ready}", "w")'
    runs(f"exec {sys.executable} -c '{code}.close(); signal.pause()'")

    def end() -> None:
        with ready.open():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end, daemon=True).start()
    assert run_scheduled(loaded, "drift").exit_code == 7


def test_the_verb_says_nothing_after_a_success_and_gives_the_tasks_exit_code(spec_from):
    loaded = spec_from(("127.0.0.1:19530", "127.0.0.1:1"))  # nothing answers there
    done = subprocess.run(
        [sys.executable, "-m", "kitestring", "scheduled", "compaction", "--spec", loaded.file],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "kitestring compaction of test ended with exit code 1 (an error)" in done.stderr
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(
    ("drill", "told"),
    [
        ({}, []),
        ({"target": "embedded"}, []),
        ({"target_spec": "spare.yaml"}, ["--target-spec", "{folder}/spare.yaml"]),
    ],
)
def test_a_drill_is_told_its_target(spec, tmp_path, drill, told):
    loaded = spec(drill=drill)
    line = scheduled._command(loaded, "drill")
    assert line[3:-2] == ["drill", "run", *(word.format(folder=tmp_path) for word in told)]
    assert scheduled._command(loaded, "drift")[3:-2] == ["drift"]
