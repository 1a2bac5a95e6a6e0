"""Over SSH: a host with its own network, home, processes and cron; a fleet with a broken host."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import ROOT, Play, PlayFor, lines
from tests.ansible.hosts import Fleet, Host, fleet, why_none
from tests.relay import relayed

NAMES = ("north", "south", "west")
PLAIN = """\
version: 1
cluster: {{name: {name}}}
connection: {{uri: "http://127.0.0.1:1"}}
state: state
storage: {{type: local, path: milvus}}
backup: {{store: {{type: local, path: backups}}}}
objectives: {{rpo: 24h, rto: 10m, drill_every: 24h}}
"""
Over = Callable[..., Play]
CHANGES = [
    "Keep the folder of the environment",
    "Let the environment see what the package needs",
    "Install kitestring into its environment",
    "Bring the specs to the host",
    "Keep the log folder of the compaction",
    "Keep the cron entry of the compaction",
    "Compact the collections whose segments call for it",
    "Keep the log folder of the backup",
    "Keep the cron entry of the backup",
    "Keep a backup younger than the objective, and prune the rest",
]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    reason = why_none()
    if reason:
        pytest.skip(reason)
    with fleet(tmp_path_factory.mktemp("fleet"), NAMES) as found:
        yield found


@pytest.fixture
def over(play: PlayFor, hosts: Fleet, tmp_path: Path) -> Iterator[Over]:
    """`over(playbook, {host: {variable: value}}, flags…)`: a play on these hosts, and no other.

    A variable `ansible_host` puts the host elsewhere.
    """
    sockets = tempfile.mkdtemp(prefix="ks-")  # a socket's path has to be short
    reached = {host.name: hosts.variables(host.address) for host in hosts.hosts}

    def run(book: str, variables: dict[str, dict[str, Any]], *flags: str, **more: Any) -> Play:
        common = {"ansible_python_interpreter": sys.executable}
        listed = {name: {**reached[name], **common, **own} for name, own in variables.items()}
        inventory = tmp_path / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"kitestring": {"hosts": listed}}, sort_keys=False))
        said = [json.dumps(more)] if more else []
        env = {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        return play(book, None, "-i", str(inventory), *flags, variables=said, env=env)

    yield run
    shutil.rmtree(sockets, ignore_errors=True)


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, and in `needed` what it needs, as it is installed here."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (folder / "needed").mkdir()
    for installed in Path(os.__file__).parent, *map(Path, sys.path):
        if installed.name != "site-packages":
            continue
        for entry in installed.iterdir():
            if not entry.name.lstrip("_").startswith(("kitestring", "pip")):
                (folder / "needed" / entry.name).symlink_to(entry)
    return folder


def of(hosts: Fleet, name: str) -> Host:
    return next(host for host in hosts.hosts if host.name == name)


def test_a_host_is_prepared_and_kept(
    hosts: Fleet, over: Over, wheelhouse: Path, spec_for: Any, unique: Any, filled: Any,
    milvus: Any, rows: Any, stack: Any, stack_data: Path, tmp_path: Path,
) -> None:  # fmt: skip
    later = f"{(time.localtime().tm_hour + 12) % 24:02}:00"  # the host's cron starts nothing now
    day2 = {"compaction": {"max_deleted_ratio": 0.2, "at": later}, "backup": {"at": later}}
    loaded = spec_for({"name": unique()}, day2=day2)
    filled(loaded)
    name = loaded.spec.collections[0].name
    milvus.delete(name, [row["id"] for row in rows(30)])
    north = of(hosts, "north")
    with relayed(stack.port, north.gateway) as port:
        document = yaml.safe_load(loaded.file.read_text())
        document["connection"] = {"uri": f"http://{north.gateway}:{port}", "timeout": "20s"}
        document["storage"] = {"type": "local", "path": str(stack_data / "data")}
        source = tmp_path / "north.yaml"
        source.write_text(yaml.safe_dump(document))
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        variables = {
            "ops_host_python": sys.executable,
            "ops_host_wheelhouse": str(wheelhouse),
            "ops_host_specs": [{"src": str(source), "dest": "/srv/cluster.yaml"}],
            "kitestring_spec": "/srv/cluster.yaml",
            "needed": str(wheelhouse / "needed"),
            "needed_by": f"~/.local/share/kitestring/venv/lib/{python}/site-packages",
        }

        def run() -> Play:
            unneeded = "observe,embedding,reconcile,drill"
            done = over("tests/ansible/ops.yml", {"north": variables}, "--skip-tags", unneeded)
            assert done.code == 0, done.output
            return done

        first = run()
        assert first.changed_tasks() == CHANGES, first.output
        assert "NOT SCHEDULED" not in first.output
        assert sum(s.rows for s in milvus.segments(name)) == 30
        compaction, backup = (line.split(" * * * ", 1)[1] for line in lines(north.crontab()))
        assert compaction.startswith("/srv/home/.local/share/kitestring/venv/bin/python -m ")
        assert not Path("/srv/cluster.yaml").exists()

        second = run()
        assert second.changed_tasks() == []
        assert second.changed == 0
        north.run("env", "-i", "sh", "-c", backup)  # as cron runs it; raises where it fails
        assert len(north.run("ls", "/srv/state/logs/backup").split()) == 1


def test_a_fleet_with_a_broken_host(hosts: Fleet, over: Over, tmp_path: Path) -> None:
    def cluster(name: str, **more: Any) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "cluster.yaml").write_text(PLAIN.format(name=name))
        return {"kitestring_spec": str(folder / "cluster.yaml"), **more}

    def run(variables: dict[str, dict[str, Any]], **more: Any) -> Play:
        return over("playbooks/day2.yml", variables, "--tags", "drill", **more)

    def scheduled() -> set[str]:
        return {h.name for h in hosts.hosts if "scheduled drill" in h.crontab()}

    # the first one alone, and no further: here it has no spec
    stopped = run({"west": {"kitestring_spec": "/srv/none.yaml"}, "south": cluster("south")})
    assert stopped.code == 2
    assert '"code": "spec.not-found"' in stopped.output
    assert "south" not in stopped.output
    assert scheduled() == set()

    # all at once; of three, one without a spec is more than 33 %. Unreachable ones do not count.
    variables = {
        "south": {"kitestring_spec": "/srv/none.yaml"},
        "north": cluster("north"),
        "west": cluster("west"),
    }
    few = run(variables, kitestring_serial=3, kitestring_max_fail_percentage=33)
    assert few.code == 2
    assert scheduled() == set()
    variables["west"]["ansible_port"] = 1
    half = run(variables, kitestring_serial=3, kitestring_max_fail_percentage=34)
    assert half.code
    assert re.search(r"^fatal: \[west\]: UNREACHABLE! .*Connection refused", half.output, re.M)
    assert "Traceback" not in half.output
    assert scheduled() == {"north"}
