"""The collection as others get it: built, installed elsewhere, documented, used by its names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.conftest import ROOT

MODULES = sorted(f"kitestring.milvus.{f.stem}" for f in (ROOT / "plugins/modules").glob("*.py"))
INVENTORY = "kitestring.milvus.clusters"
# of `ansible-test sanity`: those that run with what ansible-core has
SANITY = (
    "action-plugin-docs", "compile", "empty-init", "ignores", "line-endings",
    "no-assert", "no-get-exception", "no-illegal-filenames", "no-smart-quotes", "replace-urlopen",
    "shebang", "symlinks", "use-argspec-type-path", "use-compat-six",
)  # fmt: skip
# those for which ansible-test installs tools of its own, from the network
SANITY_INSTALLING = (
    "ansible-doc", "changelog", "import", "pep8", "pylint", "runtime-metadata",
    "validate-modules", "yamllint",
)  # fmt: skip
ROLES = sorted(f.name for f in (ROOT / "roles").iterdir() if (f / "meta").is_dir())


def ansible(program: str, *arguments: str, cwd: Path, **env: str) -> str:
    tool = Path(sys.executable).with_name(program)
    if not tool.exists():
        pytest.skip(f"{program} is not installed (the `ansible` extra)")
    done = subprocess.run(
        [str(tool), *arguments],
        cwd=cwd,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that knows nothing of the checkout, with the collection installed below it."""
    folder = tmp_path_factory.mktemp("estate")
    ansible("ansible-galaxy", "collection", "build", "--output-path", str(folder), cwd=ROOT)
    (archive,) = folder.glob("kitestring-milvus-*.tar.gz")
    ansible(
        "ansible-galaxy", "collection", "install", "--offline", "-p", str(folder), str(archive),
        cwd=folder,
    )  # fmt: skip
    return folder


def test_only_what_ansible_needs_is_in_the_archive(installed: Path) -> None:
    there = installed / "ansible_collections" / "kitestring" / "milvus"
    names = {f.name for f in there.iterdir()}
    assert {"plugins", "roles", "playbooks", "meta", "README.md", "LICENSE"} <= names
    assert not names & {"src", "tests", "infra", "charts", ".git", ".venv", "pyproject.toml"}
    assert not list(there.rglob("*.tar.gz"))
    assert not [f for f in there.rglob("*") if f.is_symlink()]


def test_every_module_and_role_documents_itself(installed: Path) -> None:
    paths = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    told: dict[str, Any] = json.loads(
        ansible("ansible-doc", "-t", "module", "--json", *MODULES, cwd=installed, **paths)
    )
    assert sorted(told) == MODULES
    for name, page in told.items():
        assert page["examples"].count(f"{name}:"), name
        assert {"code", "hint"} <= set(page["return"]), name
        assert {"check_mode", "diff_mode"} <= set(page["doc"]["attributes"]), name
    listed = ansible("ansible-doc", "-l", "kitestring.milvus", cwd=installed, **paths)
    assert all(name in listed for name in MODULES)
    inventories = ansible("ansible-doc", "-t", "inventory", INVENTORY, cwd=installed, **paths)
    assert "kitestring_endpoint" in inventories
    roles = json.loads(
        ansible(
            "ansible-doc", "-t", "role", "--json",
            *(f"kitestring.milvus.{name}" for name in ROLES), cwd=installed, **paths,
        )
    )  # fmt: skip
    assert sorted(roles) == [f"kitestring.milvus.{name}" for name in ROLES]
    for name in ROLES:
        assert (ROOT / "roles" / name / "README.md").is_file(), name


def test_the_changelog_names_the_release_and_everything_in_it(installed: Path) -> None:
    """In the form of antsibull-changelog, which Ansible's own collections have."""
    there = installed / "ansible_collections" / "kitestring" / "milvus"
    changes = yaml.safe_load((there / "changelogs" / "changelog.yaml").read_text())
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    release = changes["releases"][galaxy["version"]]
    told = yaml.safe_load((there / "changelogs" / "config.yaml").read_text())
    assert told["title"] == "kitestring.milvus"
    assert set(release["changes"]) <= {told["prelude_section_name"], *dict(told["sections"])}
    releases = changes["releases"].values()
    modules = {m["name"] for one in releases for m in one.get("modules", ())}
    assert sorted(f"kitestring.milvus.{name}" for name in modules) == MODULES
    roles = {r["name"] for one in releases for r in one.get("objects", {}).get("role", ())}
    assert sorted(roles) == ROLES
    page = (there / "changelogs" / told["changelog_filename_template"]).read_text()
    for text in (*MODULES, f"v{galaxy['version']}", release["changes"]["release_summary"].strip()):
        assert text in page


def test_every_module_is_in_the_action_group() -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert [f"kitestring.milvus.{name}" for name in groups["milvus"]] == MODULES


def test_its_names_work_where_it_was_installed(installed: Path) -> None:
    spec = installed / "cluster.yaml"
    spec.write_text(
        "version: 1\ncluster: {name: elsewhere}\nstate: state\n"
        'connection: {uri: "http://127.0.0.1:1"}\n'
    )
    book = installed / "site.yml"
    book.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "localhost",
                    "connection": "local",
                    "gather_facts": False,
                    "vars": {"ansible_python_interpreter": sys.executable},
                    "tasks": [
                        {"kitestring.milvus.milvus_info": {"spec": str(spec)}, "register": "told"},
                        {"ansible.builtin.debug": {"var": "told.cluster"}},
                    ],
                }
            ]
        )
    )
    paths = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    assert '"told.cluster": "elsewhere"' in ansible(
        "ansible-playbook", "-i", "localhost,", str(book), cwd=installed, **paths
    )


def sanity(installed: Path, tests: tuple[str, ...], **env: str) -> None:
    """Runs tests of ansible-test on the collection where it was installed."""
    there = installed / "ansible_collections" / "kitestring" / "milvus"
    ignored = there / "tests" / "sanity"
    ignored.mkdir(parents=True, exist_ok=True)
    core = ".".join(version("ansible-core").split(".")[:2])
    # ansible-test asks for the license of Ansible's own plugins; this project has another
    plugins = [f"modules/{name.rsplit('.', 1)[1]}" for name in MODULES]
    (ignored / f"ignore-{core}.txt").write_text(
        "".join(
            f"plugins/{name}.py validate-modules:missing-gplv3-license\n"
            for name in [*plugins, "inventory/clusters"]
        )
    )
    chosen = [argument for test in tests for argument in ("--test", test)]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    ansible(
        "ansible-test", "sanity", *chosen, "--python", python, "--color", "no",
        cwd=there, PATH=path, **env,
    )  # fmt: skip


def test_sanity(installed: Path, tmp_path: Path) -> None:
    sanity(installed, SANITY, HOME=str(tmp_path))


# in the place of the script that ansible-test would fetch to give its virtual environments a pip
GET_PIP = """
import subprocess, sys
asked = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
command = [{python!r}, "-m", "pip", "--python", sys.executable, "install", "--quiet", *asked]
sys.exit(subprocess.run(command).returncode)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where ansible-test finds all that it would fetch by itself; packages come by pip."""
    folder = tmp_path_factory.mktemp("home")
    cache = folder / ".ansible/test/cache"
    cache.mkdir(parents=True)
    package = find_spec("ansible_test")
    assert package is not None
    assert package.origin is not None
    listed = Path(package.origin).with_name("_internal") / "python_requirements.py"
    (pip,) = re.findall(r"\bpip='([\d.]+)'", listed.read_text())
    script = cache / f"get_pip_{pip.replace('.', '_')}.py"
    script.write_text(GET_PIP.format(python=sys.executable))
    return folder


@pytest.mark.parametrize("test", SANITY_INSTALLING)
def test_sanity_with_tools_that_are_installed(installed: Path, home: Path, test: str) -> None:
    sanity(installed, (test,), HOME=str(home))
