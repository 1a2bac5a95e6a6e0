"""`pulumi up` of a standalone server, and what users do with it afterwards. Tests go in order:
each leaves the stack as the spec says."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kitestring.clients.milvus.connect import open_way
from kitestring.clients.milvus.way import way_of
from kitestring.errors import AuthenticationFailed
from tests.e2e import specs
from tests.e2e.node.node import Node
from tests.e2e.pulumi_engine import ROOT, Outcome
from tests.e2e.site import Site, eventually, new_site
from tests.e2e.toolchain.build import Toolchain

NOTES = {
    "kites.md": "A kite's string keeps it from drifting away. Milvus is the genus of the kites.",
    "vectors.md": "A vector index answers a query with the nearest passages it holds in memory.",
}


@pytest.fixture(scope="module")
def site(
    node: Node, toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    spec = specs.standalone(node.kubeconfig)
    with new_site(node, toolchain, tmp_path_factory.mktemp("standalone"), spec) as made:
        yield made


@pytest.fixture(scope="module")
def first_up(site: Site) -> Outcome:
    return site.engine.up()


@pytest.fixture(scope="module")
def documents(site: Site, first_up: Outcome) -> Path:
    """Documents that have been ingested."""
    folder = site.file.parent / "corpus"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    done = site.kitestring("ingest", "--collection", "docs_v1", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def test_up_makes_a_server_and_what_is_inside_of_it(site: Site, first_up: Outcome) -> None:
    assert site.ready("standalone") == 1
    outputs = site.engine.outputs()
    assert outputs["endpoint"] == "https://solo-milvus.e2e-solo.svc:19530"
    with site.milvus() as milvus:
        assert milvus.alias_owner("docs") == "docs_v1"
        assert [i.index.type for i in milvus.describe("docs_v1").indexes] == ["HNSW"]


def test_ansible_lists_the_stack_by_its_name(site: Site, first_up: Outcome, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("ansible-inventory")
    if not program.exists():
        pytest.skip("ansible-inventory is not installed (the `ansible` extra)")
    engine, inventory = site.engine, tmp_path / "clusters.yml"
    asked = {"stack": engine.stack, "program": str(engine.folder)}
    inventory.write_text(
        json.dumps({"plugin": "kitestring.milvus.clusters", "stacks": [asked], "local": False})
    )
    done = subprocess.run(
        [program, "-i", inventory, "--list"],
        cwd=ROOT, env=engine.env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    found = json.loads(done.stdout, object_hook=lambda o: o.get("__ansible_unsafe", o))
    assert found["kitestring"]["children"] == ["kitestring_test"], done.stderr
    (name,) = found["kitestring_test"]["hosts"]
    variables = found["_meta"]["hostvars"][name]
    assert (name, variables["kitestring_spec"]) == ("solo", str(site.file))
    assert variables["kitestring_endpoint"] == "https://solo-milvus.e2e-solo.svc:19530"
    assert set(variables["kitestring_outputs"]) == set(engine.outputs())


def test_a_second_up_and_a_preview_change_nothing(site: Site, first_up: Outcome) -> None:
    again = site.engine.up()
    assert again.unchanged, again.output
    preview = site.engine.preview("--expect-no-changes")
    assert preview.unchanged, preview.output


def test_the_state_holds_no_password_in_clear(site: Site, first_up: Outcome) -> None:
    secret = json.loads(site.kubectl("get", "secret", "solo-root", "-o", "json"))["data"]
    state = json.dumps(site.engine.export())
    password = base64.b64decode(secret["password"]).decode()
    assert len(password) >= 20
    for text in (password, secret["password"], secret["token"]):
        assert text not in state


def test_a_client_writes_and_searches_over_tls(site: Site, documents: Path) -> None:
    found = site.kitestring("search", "--collection", "docs", "what keeps a kite from drifting?")
    assert found.returncode == 0, found.stderr
    assert "kites.md" in found.stdout


@pytest.mark.parametrize("token", ["root:Milvus", "root:wrong", ""])
def test_another_password_opens_nothing(site: Site, documents: Path, token: str) -> None:
    with (
        pytest.raises(AuthenticationFailed),
        open_way(way_of(site.loaded), token=token) as milvus,
    ):
        milvus.describe("docs_v1")


def test_what_is_changed_by_hand_is_found_and_put_back(site: Site, documents: Path) -> None:
    assert site.drift() == (0, [])
    site.kubectl("set", "resources", "statefulset/solo-standalone", "--limits=memory=3Gi")
    site.kubectl("delete", "networkpolicy", "solo-deny")

    code, findings = site.drift()
    assert code == 2
    assert any("solo-standalone" in f["subject"] for f in findings), findings
    assert any("solo-deny" in f["subject"] for f in findings), findings
    preview = site.engine.preview()
    assert not preview.unchanged, preview.output

    site.engine.up()
    eventually(lambda: site.ready("standalone") == 1, what="the server is ready")
    assert site.drift() == (0, [])


def test_an_alias_moved_by_hand_is_seen_and_put_back(site: Site, documents: Path) -> None:
    with site.milvus() as milvus:
        milvus.create_collection("impostor", milvus.describe("docs_v1").schema)
        milvus.move_alias("impostor", "docs")
    preview = site.engine.preview()
    assert any("Alias" in step.type for step in preview.changed), preview.output
    site.engine.up()
    with site.milvus() as milvus:
        assert milvus.alias_owner("docs") == "docs_v1"
        milvus.drop_collection("impostor")


@pytest.mark.parametrize("component", ["etcd", "minio", "standalone"])
def test_a_pod_that_is_deleted_comes_back_with_its_data(
    site: Site, documents: Path, component: str
) -> None:
    site.kubectl("delete", "pod", f"solo-{component}-0", "--wait=true")
    for part in ("etcd", "minio", "standalone"):
        eventually(lambda part=part: site.ready(part) == 1, what=f"{part} is ready")

    def answers() -> bool:
        return "kites.md" in site.kitestring("search", "--collection", "docs", "kite").stdout

    eventually(answers, what="the search finds the document again")


def test_what_can_not_be_is_refused_before_anything_is_touched(site: Site, documents: Path) -> None:
    deployment = site.spec["deployment"]

    def refused(words: str) -> None:
        site.save()
        preview = site.engine.preview("--refresh=false", check=False)  # the program refuses it
        assert not preview.ok, preview.output
        assert words in preview.output, preview.output
        assert "Traceback" not in preview.output

    keep = deployment["minio"]["volume"]["size"]
    deployment["minio"]["volume"]["size"] = "1Gi"
    refused("the volumes of minio have 2Gi, the spec asks for 1Gi")
    deployment["minio"]["volume"]["size"] = keep

    deployment["storage_class"] = "no-such-class"
    refused("no-such-class")
    del deployment["storage_class"]

    deployment["roles"]["query_node"] = {"replicas": 0}
    refused("query_node")
    del deployment["roles"]["query_node"]
    site.save()  # that nothing was touched, the next test sees: its changes are named


def test_a_larger_volume_grows_in_place(site: Site, documents: Path) -> None:
    site.spec["deployment"]["minio"]["volume"]["size"] = "3Gi"
    site.save()
    done = site.engine.up()
    (step,) = done.changed
    assert (step.op, step.name) == ("update", "solo-data-solo-minio-0"), done.output
    claim = json.loads(site.kubectl("get", "pvc", "data-solo-minio-0", "-o", "json"))
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"


def test_pods_show_a_new_certificate_after_one_up(site: Site, documents: Path) -> None:
    def shown() -> str:
        """The certificate that the server shows, as PEM."""
        address = site.pods("standalone")[0]["status"]["podIP"]
        return ssl.get_server_certificate((address, 19530), timeout=10).strip()

    def wanted() -> str:
        secret = json.loads(site.kubectl("get", "secret", "solo-tls", "-o", "json"))["data"]
        return base64.b64decode(secret["tls.crt"]).decode().strip()

    before = shown()
    site.spec["deployment"]["security"]["tls"]["hosts"] = ["milvus.example"]
    site.save()
    done = site.engine.up()
    assert {s.name for s in done.changed} == {"solo-tls-values", "solo-tls", "solo-standalone"}
    assert before != wanted() == shown()
    (pod,) = site.pods("standalone")
    assert pod["metadata"]["annotations"]["kitestring/secrets"] == "solo-minio=1,solo-tls=2"
    assert site.engine.preview().unchanged
    assert site.drift() == (0, [])


def test_destroy_keeps_the_volumes_and_up_finds_them(site: Site, documents: Path) -> None:
    site.engine.destroy(check=False)  # what is protected stays, and the engine says so
    eventually(lambda: not site.pods("standalone"), what="the pods are gone")
    claims = site.kubectl("get", "pvc", "-o", "name").split()
    assert {f"persistentvolumeclaim/data-solo-{c}-0" for c in ("etcd", "minio", "standalone")} <= {
        *claims
    }

    site.engine.up()

    def answers() -> bool:
        return "kites.md" in site.kitestring("search", "--collection", "docs", "kite").stdout

    eventually(answers, what="the search finds the document that was there before")
