"""What goes wrong is said with the code of the error, and nothing is half-done."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAY2 = "playbooks/day2.yml"
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


@pytest.mark.server
def test_a_wrong_token(play, tmp_path, spec_with):
    from kitestring.local import running

    with running(tmp_path / "guarded", timeout=120, authorization=True, remove=True) as state:
        spec = spec_with(f'{{uri: "{state.uri}", token: {{env: TEST_TOKEN}}, timeout: 10s}}')
        unset = play(DAY2, spec, "--tags", "reconcile")
        assert '"code": "spec.secret-missing"' in unset.output

        wrong = play(
            DAY2,
            spec,
            "--tags",
            "reconcile",
            "-vvv",
            variables=['{"kitestring_secrets": {"TEST_TOKEN": "root:not-the-password"}}'],
        )
        assert wrong.code == 2
        assert '"code": "milvus.authentication"' in wrong.output
        assert "not-the-password" not in wrong.output

        right = play(
            DAY2,
            spec,
            "--tags",
            "reconcile",
            variables=['{"kitestring_secrets": {"TEST_TOKEN": "root:Milvus"}}'],
        )
        assert right.code == 0, right.output
