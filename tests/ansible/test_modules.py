"""Modules that no playbook of the collection runs this way: retention, and drift as a result."""

from __future__ import annotations

import pytest
import yaml

from kitestring.backup.catalog import open_catalog
from kitestring.backup.create import create_backup
from kitestring.backup.drill_history import open_history

PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "collections": ["kitestring.milvus"],
        "tasks": [],
    }
]


@pytest.fixture
def task(play, tmp_path):
    """`task(loaded, module, arguments…, flags=())`: one task, whose result is printed."""

    def run(loaded, module, *flags, **arguments):
        say = {"name": "Say", "ansible.builtin.debug": {"var": "result"}}
        one = {
            "name": "Run",
            f"kitestring.milvus.{module}": {"spec": str(loaded.file), **arguments},
            "register": "result",
        }
        file = tmp_path / f"{module}.yml"
        file.write_text(yaml.safe_dump([{**PLAY[0], "tasks": [one, say]}]))
        return play(file, loaded.file, *flags)

    return run


def test_backups_that_no_rule_keeps_go(task, spec_for, unique, filled, milvus):
    store = {"type": "local", "path": "backups"}
    loaded = spec_for(
        {"name": unique()},
        backup={"store": store, "retention": {"last": 1, "grace": "1s"}},
    )
    filled(loaded)
    # of the first all objects were read back, of the second nothing: no rule keeps that one
    first, older, newer = (create_backup(loaded, milvus).id for _ in range(3))

    def there():
        return {s.id: s.marked_at for s in open_catalog(loaded).summaries()}

    foretold = task(loaded, "milvus_backup", "--check", "--diff")
    assert foretold.code == 0, foretold.output
    assert f"{older}: marked" in foretold.output
    assert foretold.changed == 1
    assert set(there().values()) == {None}

    done = task(loaded, "milvus_backup", "--diff")
    assert (done.code, done.changed) == (0, 1), done.output
    left = there()
    assert left[newer] is None  # young enough: no new one was made
    assert older not in left or left[older] is not None
    while older in there():  # marked a moment ago: the grace period is a second
        assert task(loaded, "milvus_backup").code == 0
    last = task(loaded, "milvus_backup")
    assert (last.code, last.changed) == (0, 0), last.output
    assert set(there()) == {first, newer}


def test_drift_is_a_result_and_fails_only_when_asked(task, spec_for, unique, filled):
    loaded = spec_for({"name": unique(), "aliases": [unique("a")]})
    filled(loaded)
    (alias,) = loaded.spec.collections[0].aliases
    found = task(loaded, "milvus_drift", only=["alias"], rows=False)
    assert found.code == 0, found.output
    assert '"verdict": "fail"' in found.output
    assert alias in found.output
    assert found.changed == 0
    failed = task(loaded, "milvus_drift", only=["alias"], rows=False, fail_on_drift=True)
    assert failed.code == 2
    assert '"code": "drift.found"' in failed.output
    clean = task(loaded, "milvus_drift", only=["index"], rows=False, fail_on_drift=True)
    assert clean.code == 0, clean.output
    assert '"verdict": "pass"' in clean.output


def test_a_drill_on_kubernetes_needs_a_deployment(task, spec_for, unique, filled, milvus):
    loaded = spec_for({"name": unique()})
    filled(loaded)
    create_backup(loaded, milvus)
    refused = task(loaded, "milvus_restore_drill", target="kubernetes")
    assert refused.code == 2
    assert '"code": "drill.refused"' in refused.output
    assert "has no `deployment`" in refused.output
    assert open_history(loaded).ids() == []  # nothing was tried


def test_a_drill_is_foretold_run_and_not_run_again(play, spec_for, unique, filled, milvus):
    loaded = spec_for(
        {"name": unique()}, objectives={"rpo": "24h", "rto": "1h", "drill_every": "24h"}
    )
    filled(loaded)
    create_backup(loaded, milvus)
    book, drill = "playbooks/restore_drill.yml", "Drill a restore when none has passed lately"
    no_cron = ['{"restore_drill_cron": false}']

    foretold = play(book, loaded.file, "--check", "--diff", variables=no_cron)
    assert foretold.changed_tasks() == [drill], foretold.output
    assert "-newest passed drill: none" in foretold.output
    assert open_history(loaded).summaries() == []
    done = play(book, loaded.file, "--diff", variables=no_cron)
    assert done.changed_tasks() == [drill], done.output
    (record,) = open_history(loaded).summaries()
    assert record.passed
    assert f"+newest passed drill: {record.id}" in done.output
    for flags in ((), ("--check",)):
        assert play(book, loaded.file, *flags, variables=no_cron).changed == 0
    assert len(open_history(loaded).summaries()) == 1
