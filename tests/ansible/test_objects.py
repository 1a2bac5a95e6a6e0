"""Every module of one object: made, changed and dropped; each foretold, done, and done again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.ansible.conftest import ROOT_TOKEN, Play, PlayFor

FIELDS = [
    {"name": "id", "type": "INT64", "primary": True},
    {"name": "v", "type": "FLOAT_VECTOR", "dim": 4},
]
GRANT = {"object": "Collection", "name": "*", "privileges": ["Search", "Query"]}
FLAT = {"collection": "made", "field": "v", "type": "FLAT", "metric": "L2"}
NO_ROLES = dict.fromkeys(
    ("tenant_id", "doc_id", "chunk_index", "text", "content_hash", "embedding_model", "chunker",
     "last_embedded_at"),
    "none",
)  # fmt: skip
PASSWORD, SECOND = "first-password", "second-password"
# module, options of each step; what has to be there comes before, and goes after
LIFE: list[tuple[str, dict[str, Any]]] = [
    ("milvus_database", {"name": "other"}),
    ("milvus_collection", {"name": "made", "fields": FIELDS}),
    ("milvus_collection", {"name": "made", "properties": {"collection.ttl.seconds": 600}}),
    (
        "milvus_collection",
        {"name": "whole", "fields": FIELDS, "partitions": ["p"], "loaded": False},
    ),
    ("milvus_collection", {"name": "whole", "state": "absent"}),
    ("milvus_index", FLAT),
    ("milvus_collection", {"name": "made", "partitions": ["p"], "loaded": True}),
    ("milvus_index", {**FLAT, "metric": "IP"}),
    ("milvus_alias", {"name": "a", "collection": "made"}),
    ("milvus_role", {"name": "reader", "grants": [GRANT]}),
    ("milvus_user", {"name": "app", "password": PASSWORD, "roles": ["reader"]}),
    ("milvus_role", {"name": "reader", "grants": [{**GRANT, "privileges": ["Search"]}]}),
    ("milvus_user", {"name": "app", "password": SECOND, "roles": []}),
    ("milvus_user", {"name": "app", "state": "absent"}),
    ("milvus_role", {"name": "reader", "state": "absent"}),
    ("milvus_alias", {"name": "a", "state": "absent"}),
    ("milvus_index", {"collection": "made", "field": "v", "state": "absent"}),
    ("milvus_collection", {"name": "made", "state": "absent"}),
    ("milvus_database", {"name": "other", "state": "absent"}),
]
ROUNDS = (("foretold", {"check_mode": True}), ("done", {}), ("again", {}))


def playbook(file: Path, tasks: list[dict[str, Any]]) -> Path:
    defaults = {"spec": "{{ kitestring_spec }}", "secrets": {"KS_TOKEN": "{{ token }}"}}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "module_defaults": {"group/kitestring.milvus.milvus": defaults},
        "tasks": tasks,
    }
    file.write_text(yaml.safe_dump([play], sort_keys=False))
    return file


def test_each_object_is_made_changed_and_dropped(
    guarded: Path, play: PlayFor, tmp_path: Path
) -> None:
    tasks = [
        {
            "name": f"{number} {module} {what}",
            f"kitestring.milvus.{module}": options,
            "register": f"{what}_{number}",
            **more,
        }
        for number, (module, options) in enumerate(LIFE)
        for what, more in ROUNDS
    ]
    told = tmp_path / "told.json"
    every = ", ".join(f"{t['register']!r}: {t['register']}" for t in tasks)
    keep = {"dest": str(told), "content": f"{{{{ {{{every}}} | to_json }}}}"}
    last = {"name": "Keep what was told", "ansible.builtin.copy": {"mode": "0600", **keep}}
    done = play(
        playbook(tmp_path / "life.yml", [*tasks, last]),
        guarded,
        "--diff",
        variables=[f"token={ROOT_TOKEN}"],
    )
    assert done.code == 0, done.output
    assert PASSWORD not in done.output
    assert SECOND not in done.output
    changed = done.changed_tasks()
    expected = [t["name"] for t in tasks if not t["name"].endswith("again")]
    assert changed == [*expected, last["name"]]
    results = json.loads(told.read_text())
    assert not [secret for secret in (PASSWORD, SECOND, ROOT_TOKEN) if secret in told.read_text()]
    for number, (module, options) in enumerate(LIFE):
        foretold, real, again = (results[f"{what}_{number}"] for what, _ in ROUNDS)
        for key in ("before", "after", "differences", "diff"):
            assert foretold[key] == real[key], (module, options, key)
        assert again["before"] == again["after"], (module, options)


def test_failures_say_what_kind_they_are(guarded: Path, play: PlayFor, tmp_path: Path) -> None:
    module = "kitestring.milvus.milvus_database"
    one = {"name": "one", module: {"name": "never"}}
    wrong = play(playbook(tmp_path / "f.yml", [one]), guarded, variables=["token=root:wrong-one"])
    assert wrong.code == 2
    assert '"code": "milvus.authentication"' in wrong.output
    assert "wrong-one" not in wrong.output


def test_what_somebody_widened_is_taken_back(guarded: Path, play: PlayFor, tmp_path: Path) -> None:
    """The spec's access, partitions and properties: kept by the role, corrected, and told of."""
    from kitestring.clients.milvus.client import MilvusServer
    from kitestring.model.access import Privilege

    secrets_of = {"KS_TOKEN": ROOT_TOKEN, "APP_PASSWORD": PASSWORD}
    document = yaml.safe_load(guarded.read_text())
    spec = tmp_path / "access.yaml"
    columns = [{**FIELDS[0]}, {**FIELDS[1]}]
    spec.write_text(
        yaml.safe_dump(
            {
                **document,
                "collections": [
                    {
                        "name": "kept",
                        "columns": columns,
                        "fields": {"vector": "v", **NO_ROLES},
                        "indexes": [{"field": "v", "type": "FLAT", "metric": "L2"}],
                        "partitions": ["p"],
                        "properties": {"collection.ttl.seconds": "600"},
                    }
                ],
                "access": {
                    "roles": [{"name": "reader", "grants": [{**GRANT, "name": "kept"}]}],
                    "users": [
                        {"name": "app", "password": {"env": "APP_PASSWORD"}, "roles": ["reader"]}
                    ],
                },
            }
        )
    )
    secrets = [json.dumps({"kitestring_secrets": secrets_of})]

    def reconcile(*flags: str) -> Play:
        done = play(
            "playbooks/day2.yml", spec, "--tags", "reconcile", "--diff", *flags, variables=secrets
        )
        assert done.code == 0, done.output
        assert PASSWORD not in done.output
        return done

    assert reconcile().changed == 1
    assert reconcile().changed == 0
    with MilvusServer(document["connection"]["uri"], token=ROOT_TOKEN, timeout=20) as milvus:
        wide = Privilege("Global", "*", "DropCollection")
        milvus.admin.grant("reader", wide)
        milvus.admin.take_role("app", "reader")
        milvus.admin.alter_collection("kept", {"collection.ttl.seconds": "1"})
        foretold = reconcile("--check")
        assert wide in milvus.admin.privileges("reader")
        done = reconcile()
        for line in (
            "-guarded/kept/property/collection.ttl.seconds: 1\n",
            "+guarded/kept/property/collection.ttl.seconds: 600\n",
            "+guarded/access/user/app: ",
            "-guarded/access/grant/reader: ",
        ):
            assert line in foretold.output
            assert line in done.output
        assert "DropCollection" in done.output
        assert {p.privilege for p in milvus.admin.privileges("reader")} == {"Search", "Query"}
        assert milvus.admin.roles_of("app") == ("reader",)
        assert milvus.describe("kept").properties["collection.ttl.seconds"] == "600"
        assert reconcile().changed == 0
