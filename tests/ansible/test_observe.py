"""One look for a whole play: it answers for what has nothing to do, until something is changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import Play, PlayFor

LOOK = "{{ look.observation }}"
OPTIONS: dict[str, dict[str, Any]] = {
    "milvus_embedding_check": {},
    "milvus_reconcile": {},
    "milvus_compaction": {},
}


@pytest.fixture
def cluster(spec_for: Any, unique: Any, filled: Any, milvus: Any) -> Any:
    """A cluster that is as its spec says."""
    loaded = spec_for(
        {"name": unique(), "aliases": [unique("a")]},
        day2={"compaction": {"max_segments": 20, "max_deleted_ratio": 0.9}},
    )
    filled(loaded)
    collection = loaded.spec.collections[0]
    milvus.create_alias(collection.name, collection.aliases[0])
    return loaded


def run(play: PlayFor, file: Path, loaded: Any, *tasks: dict[str, Any]) -> Play:
    """A play of those tasks, after a look that is registered as `look`."""
    defaults = {"spec": str(loaded.file)}
    first = {"name": "Look", "kitestring.milvus.milvus_observe": {}, "register": "look"}
    one = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "module_defaults": {"group/kitestring.milvus.milvus": defaults},
        "tasks": [first, *tasks],
    }
    file.write_text(yaml.safe_dump([one], sort_keys=False))
    done = play(file, loaded.file)
    assert "Traceback" not in done.output
    return done


def said(done: Play, variable: str) -> Any:
    found = re.search(rf'"{variable}": (.*?)\n}}\n', done.output, re.S)
    assert found, done.output
    return json.loads(found[1])


def test_the_answers_are_those_of_modules_that_look_for_themselves(
    cluster: Any, play: PlayFor, tmp_path: Path
) -> None:
    tasks: list[dict[str, Any]] = []
    for module in OPTIONS:
        for way, options in (("own", {}), ("spared", {"observation": LOOK})):
            name = f"{module}_{way}"
            tasks += [
                {"name": name, f"kitestring.milvus.{module}": options, "register": name},
                {"name": "Say", "ansible.builtin.debug": {"var": name}},
            ]
    done = run(play, tmp_path / "same.yml", cluster, *tasks)
    assert (done.code, done.changed) == (0, 0), done.output
    for module in OPTIONS:
        assert said(done, f"{module}_spared") == said(done, f"{module}_own")
    assert len(list(cluster.state_dir.glob("observation-*.json"))) == 1


def test_a_change_by_a_module_ends_it(
    cluster: Any, play: PlayFor, milvus: Any, tmp_path: Path
) -> None:
    (alias,) = cluster.spec.collections[0].aliases
    reconcile = {"kitestring.milvus.milvus_reconcile": {"observation": LOOK}}
    away = {"kitestring.milvus.milvus_alias": {"name": alias, "state": "absent"}}
    done = run(
        play,
        tmp_path / "changed.yml",
        cluster,
        {"name": "Spared", **reconcile},
        {"name": "Foretold", **away, "check_mode": True},
        {"name": "Spared too", **reconcile},
        {"name": "Take the alias away", **away},
        {"name": "Put it back", **reconcile},
    )
    assert done.code == 0, done.output
    assert done.changed_tasks() == ["Foretold", "Take the alias away", "Put it back"]
    assert milvus.alias_owner(alias) == cluster.spec.collections[0].name
    assert list(cluster.state_dir.glob("observation-*.json")) == []


def test_what_has_something_to_do_or_options_looks_for_itself(
    cluster: Any, play: PlayFor, milvus: Any, tmp_path: Path
) -> None:
    name = cluster.spec.collections[0].name
    milvus.release(name)
    done = run(
        play,
        tmp_path / "open.yml",
        cluster,
        {"name": "Say", "ansible.builtin.debug": {"var": "look.open"}},
        {"name": "Load", "kitestring.milvus.milvus_reconcile": {"observation": LOOK}},
    )
    assert done.code == 0, done.output
    assert said(done, "look.open") == ["reconcile"]
    assert done.changed_tasks() == ["Load"]
    assert milvus.describe(name).loaded

    force = {"observation": LOOK, "force": True, "collections": [name]}
    forced = run(
        play,
        tmp_path / "forced.yml",
        cluster,
        {"name": "Compact", "kitestring.milvus.milvus_compaction": force, "register": "forced"},
        {"name": "Say", "ansible.builtin.debug": {"var": "forced.collections[0].reason"}},
    )
    assert forced.code == 0, forced.output
    assert '"asked for"' in forced.output
