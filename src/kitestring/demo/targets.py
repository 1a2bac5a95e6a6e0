"""Where the demo's Milvus comes from: a process on this machine, or `pulumi up` on Kubernetes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from kitestring.demo.story import DemoFailed
from kitestring.local import down, status, up
from kitestring.spec.loaded import LoadedSpec

PASSPHRASE = "demo"  # noqa: S105 - of a stack that the demo throws away; its secrets die with it


class Target(Protocol):
    """A Milvus that the demo makes and takes away again."""

    @property
    def spec(self) -> Path:
        """The spec file, below the checkout."""

    @property
    def overlay(self) -> Mapping[str, str]:
        """Variables laid over the spec, for everything that the demo runs."""

    def start(self, root: Path, loaded: LoadedSpec) -> str:
        """Makes it answer; returns what the story says of it."""

    def stop(self, root: Path, loaded: LoadedSpec) -> None:
        """Takes it and its data away."""

    def kept(self, loaded: LoadedSpec) -> str:
        """What to tell a user who keeps it."""


class Embedded:
    """A real server process from the wheel, without Docker."""

    spec = Path("infra/clusters/local.yaml")
    overlay: Mapping[str, str] = {}

    def start(self, root: Path, loaded: LoadedSpec) -> str:
        state = up(_data(loaded))
        return f"a real Milvus {state.version} answers at {state.uri}"

    def stop(self, root: Path, loaded: LoadedSpec) -> None:
        if status(_data(loaded)) is not None:
            down(_data(loaded), remove=True)

    def kept(self, loaded: LoadedSpec) -> str:
        return f"the server runs on; end it with `kitestring local down --data {_data(loaded)}`"


def _data(loaded: LoadedSpec) -> Path:
    return loaded.resolve(loaded.spec.connection.embedded or "")


class Kubernetes:
    """The `dev` stack on the cluster of the current kubeconfig context."""

    spec = Path("infra/clusters/dev.yaml")
    # its own namespace, which goes with its volumes when the demo ends
    overlay: Mapping[str, str] = {
        "KITESTRING__DEPLOYMENT__NAMESPACE": "kitestring-demo",
        "KITESTRING__DEPLOYMENT__KEEP_VOLUMES": "false",
    }

    def start(self, root: Path, loaded: LoadedSpec) -> str:
        run = self._engine(root, loaded)
        run("stack", "select", "--create", "demo")
        run("config", "set", "kitestring:spec", str(loaded.file))
        run("up", "--yes", "--skip-preview")
        unchanged = run("up", "--yes", "--skip-preview", "--expect-no-changes")
        deployment = loaded.spec.deployment
        assert deployment is not None  # noqa: S101 - for the type checker
        same = re.search(r"(\d+) unchanged", unchanged)
        return (
            f"pulumi up made Milvus {deployment.version} in namespace {deployment.namespace}; "
            f"a second one left {same[1] if same else 'all'} resources unchanged"
        )

    def stop(self, root: Path, loaded: LoadedSpec) -> None:
        if any(_backend(loaded).glob(".pulumi/stacks/**/demo.json")):
            self._engine(root, loaded)("destroy", "--yes", "--skip-preview")

    def kept(self, loaded: LoadedSpec) -> str:
        variables = " ".join(f"{name}={value}" for name, value in self.overlay.items())
        return f"the stack `demo` stays; commands on {self.spec} reach it with {variables}"

    def _engine(self, root: Path, loaded: LoadedSpec) -> Run:
        command = shutil.which("pulumi")
        if command is None:
            raise DemoFailed(
                "`pulumi` is not on PATH",
                hint="install Pulumi (its CLI and the Kubernetes provider), or run the embedded "
                "demo: make demo",
            )
        backend = _backend(loaded)
        backend.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "NO_COLOR": "1",
        }
        program = backend / "program"
        _copy_program(root / "infra", program)
        return Run(command, program, environment, loaded.state_dir.parent / "pulumi.log")


def _backend(loaded: LoadedSpec) -> Path:
    """Where the engine keeps the stack's state."""
    return loaded.state_dir.parent / "pulumi"


def _copy_program(infra: Path, program: Path) -> None:
    """The program without its stacks: the demo's own configuration is no part of a checkout."""
    if program.exists():
        return
    skip = shutil.ignore_patterns("clusters", "golden", "policy", "__pycache__", "Pulumi.*.yaml")
    shutil.copytree(infra, program, ignore=skip)
    settings = program / "Pulumi.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("virtualenv: ../.venv", f"virtualenv: {sys.prefix}"))


class Run:
    """Runs the engine in the program's folder."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str], log: Path) -> None:
        self._command, self._folder = command, folder
        self._environment, self._log = environment, log

    def __call__(self, *arguments: str) -> str:
        """What it printed.

        Raises:
            DemoFailed: it ended with an error.
        """
        done = subprocess.run(
            [self._command, *arguments, "--non-interactive"],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        with self._log.open("a") as file:
            file.write(done.stdout + done.stderr)
        if done.returncode != 0:
            raise DemoFailed(
                f"pulumi {arguments[0]} failed: {(done.stdout + done.stderr).strip()[-600:]}",
                hint=f"the whole output is in {self._log}",
            )
        return done.stdout
