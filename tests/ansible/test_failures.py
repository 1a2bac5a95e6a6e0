"""What goes wrong is said with the code of the error, and nothing is half-done."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from pathlib import Path

import pytest
import yaml

from kitestring.clients.milvus.client import MilvusServer
from kitestring.errors import LocalError
from kitestring.model.access import Privilege
from kitestring.spec.load import load
from kitestring.spec.schema import collection_schema, wanted_index
from tests.ansible.conftest import INDEX, MODEL, SETTINGS

ROOT = Path(__file__).parents[2]
DAY2 = "playbooks/day2.yml"
ROOT_TOKEN = "root:Milvus"
SPEC = """\
version: 1
cluster: {{name: test}}
connection: {connection}
state: state
collections: []
storage: {{type: local, path: milvus}}
backup: {{store: {{type: local, path: backups}}}}
objectives: {{rpo: 24h, rto: 10m}}
"""


@pytest.fixture
def free_port():
    """A port at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def spec_with(tmp_path):
    def write(connection: str):
        file = tmp_path / "cluster.yaml"
        file.write_text(SPEC.format(connection=connection))
        return file

    return write


def test_unreachable(play, spec_with, free_port, tmp_path):
    spec = spec_with(f'{{uri: "http://127.0.0.1:{free_port}", timeout: 2s}}')
    run = play(DAY2, spec)
    assert run.code == 2
    assert run.failed_task() == "Look once at the cluster"
    assert '"code": "milvus.unreachable"' in run.output
    assert f"no Milvus answers at http://127.0.0.1:{free_port}" in run.output
    assert "Traceback" not in run.output
    assert not (tmp_path / "backups").exists()


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (None, "spec.not-found", "there is no spec at"),
        ("version: 1\ncluster: {name: X}\n", "spec.invalid", "cluster.name"),
    ],
)
def test_a_spec_that_is_none(play, tmp_path, text, code, said):
    spec = tmp_path / "cluster.yaml"
    if text is not None:
        spec.write_text(text)
    run = play(DAY2, spec)
    assert run.code == 2
    assert f'"code": "{code}"' in run.output
    assert said in run.output
    assert "Traceback" not in run.output


def test_a_relative_spec_starts_in_the_folder_of_the_shell(play, spec_with, free_port):
    spec = spec_with(f'{{uri: "http://127.0.0.1:{free_port}", timeout: 1s}}')
    named = os.path.relpath(spec, ROOT)  # where `play` runs ansible-playbook
    run = play(DAY2, named, env={"PWD": str(ROOT)})
    assert '"code": "milvus.unreachable"' in run.output


def test_an_interpreter_without_the_library(play, tmp_path, spec_with):
    plain = next(
        (p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if shutil.which(p)), None
    )
    if plain is None:
        pytest.skip("this machine has no other Python")
    spec = spec_with('{uri: "http://127.0.0.1:1"}')
    run = play(DAY2, spec, variables=[f"ansible_python_interpreter={plain}"])
    assert run.code == 2
    assert '"code": "ansible.library-missing"' in run.output
    assert "ansible_python_interpreter" in run.output


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that asks for a password."""
    from kitestring.local import running
    from kitestring.local.wheel import find_wheel

    try:
        find_wheel()
    except LocalError as error:
        pytest.skip(error.message)
    folder = tmp_path_factory.mktemp("guarded")
    with running(
        folder, timeout=120, authorization=True, remove=True, extra_config=SETTINGS
    ) as state:
        yield state


@pytest.mark.server
def test_a_wrong_token(play, guarded, spec_with):
    spec = spec_with(f'{{uri: "{guarded.uri}", token: {{env: TEST_TOKEN}}, timeout: 10s}}')
    unset = play(DAY2, spec, "--tags", "reconcile")
    assert '"code": "spec.secret-missing"' in unset.output

    def run(token):
        secrets = json.dumps({"kitestring_secrets": {"TEST_TOKEN": token}})
        return play(DAY2, spec, "--tags", "reconcile", "-vvv", variables=[secrets])

    wrong = run("root:not-the-password")
    assert wrong.code == 2
    assert '"code": "milvus.authentication"' in wrong.output
    assert "not-the-password" not in wrong.output
    assert run(ROOT_TOKEN).code == 0


NAME = "kept"
READS = {
    "Global": ("ShowCollections", "DescribeCollection"),
    "Collection": ("Search", "Query", "GetStatistics", "GetLoadState", "IndexDetail"),
}
SECRET = "looker-password"  # what may not be shown
CHANGES = [
    ("milvus_database", {"name": "other"}),
    ("milvus_collection", {"name": NAME, "properties": {"collection.ttl.seconds": 60}}),
    ("milvus_collection", {"name": NAME, "state": "absent", "allow_data_loss": True}),
    ("milvus_index", {"collection": NAME, "field": "embedding", "state": "absent"}),
    ("milvus_alias", {"name": "a", "collection": NAME}),
    ("milvus_user", {"name": "new", "password": "some-password"}),
    ("milvus_role", {"name": "looking", "grants": []}),
    ("milvus_reconcile", {}),
    ("milvus_compaction", {"force": True}),
    ("milvus_backup", {}),
    ("milvus_embedding_quarantine", {}),
]


@pytest.fixture
def cluster(guarded, tmp_path, rows):
    """A spec of the guarded server whose collection has rows of another model, and no alias yet;
    with what is there now, as root sees it."""
    document = {
        "version": 1,
        "cluster": {"name": "test"},
        "connection": {"uri": guarded.uri, "token": {"env": "TEST_TOKEN"}, "timeout": "20s"},
        "state": "state",
        "storage": {"type": "local", "path": guarded.root_path},
        "models": [dict(MODEL)],
        "collections": [
            {
                "name": NAME,
                "aliases": ["a"],
                "model": "hashing-word@1",
                "chunking": {"strategy": "sentence", "size": 200, "overlap": 20, "version": 1},
                "indexes": [dict(INDEX)],
            }
        ],
        "backup": {"store": {"type": "local", "path": "backups"}},
        "objectives": {"rpo": "24h", "rto": "10m"},
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(document))
    loaded = load(file)
    with MilvusServer(guarded.uri, token=ROOT_TOKEN, timeout=20) as root:
        wanted = loaded.spec.collections[0]
        root.create_collection(NAME, collection_schema(loaded.spec, wanted))
        root.create_index(NAME, wanted_index(wanted.indexes[0]), wait=True)
        root.load(NAME)
        root.upsert(NAME, rows(20, model="other@1"))
        root.flush(NAME)
        root.admin.create_role("looking")
        for kind, privileges in READS.items():
            for privilege in privileges:
                root.admin.grant("looking", Privilege(kind, "*", privilege))
        root.admin.create_user("looker", SECRET)
        root.admin.give_role("looker", "looking")

        def there():
            info = root.describe(NAME)
            return (
                info, root.count(NAME), root.segments(NAME), root.list_collections(),
                root.admin.list_databases(), root.admin.list_users(), root.admin.list_roles(),
                sorted(map(str, root.admin.privileges("looking"))),
            )  # fmt: skip

        yield file, there
        root.drop_collection(NAME)
        root.admin.drop_user("looker")
        for one in root.admin.privileges("looking"):
            root.admin.revoke("looking", one)
        root.admin.drop_role("looking")


def book(file, tasks):
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "module_defaults": {
            "group/kitestring.milvus.milvus": {
                "spec": "{{ kitestring_spec }}",
                "secrets": {"TEST_TOKEN": "{{ token }}"},
            }
        },
        "tasks": [
            {"name": name, f"kitestring.milvus.{module}": options, "ignore_errors": True}
            for name, module, options in tasks
        ],
    }
    file.write_text(yaml.safe_dump([play], sort_keys=False))
    return file


@pytest.mark.server
def test_a_user_who_may_only_read_changes_nothing(play, cluster, tmp_path):
    spec, there = cluster
    before = there()
    tasks = [(f"{n} {module}", module, options) for n, (module, options) in enumerate(CHANGES)]
    done = play(book(tmp_path / "p.yml", tasks), spec, variables=[f"token=looker:{SECRET}"])
    codes = {
        block.split("]")[0]: re.findall(r'"code": "([^"]+)"', block)
        for block in done.output.split("\nTASK [")[1:]
    }
    assert codes == {name: ["milvus.permission"] for name, _, _ in tasks}, done.output
    assert done.changed == 0
    assert SECRET not in done.output
    assert "Traceback" not in done.output
    assert there() == before
    assert not list(tmp_path.glob("backups/**/manifest*"))
    assert not list(tmp_path.glob("state/quarantine/*"))


@pytest.mark.server
def test_a_compaction_that_is_not_done_in_time(play, cluster, tmp_path):
    """It says so, and the next run finds the server well."""
    spec, there = cluster
    hasty = ("hasty", "milvus_compaction", {"force": True, "timeout": 0.1})
    patient = [
        ("patient", "milvus_compaction", {"force": True}),
        ("again", "milvus_compaction", {}),
    ]
    file = book(tmp_path / "p.yml", [hasty, *patient])
    done = play(file, spec, variables=[f"token={ROOT_TOKEN}"])
    assert re.findall(r'"code": "([^"]+)"', done.output) == ["enforce.compaction-unfinished"]
    assert "it goes on in the server" in done.output
    assert done.output.count("...ignoring") == 1, done.output
    assert done.changed_tasks() in ([], ["patient"])
    assert there()[1] == 20
