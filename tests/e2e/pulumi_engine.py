"""The real Pulumi engine on a program, with a state of its own in a folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).parent / "provider"
PLUGIN = "pulumi-resource-kubernetes"
# what the engine itself keeps, or only reads
QUIET = frozenset({"same", "read", "read-discard", "refresh"})


def kubernetes_plugin(path: str | None = None) -> tuple[Path, str]:
    """The folder of the Kubernetes provider's plugin, and a sentence that says which one it is."""
    found = shutil.which(PLUGIN, path=path)
    if found:
        return Path(found).parent, f"the real plugin: {found}"
    return STANDIN, f"the stand-in for tests: {STANDIN / PLUGIN}"


@dataclass(frozen=True, slots=True)
class Step:
    """What the engine did, or would do, with one resource."""

    op: str  # create, update, delete, same, replace, create-replacement, delete-replaced, …
    urn: str
    paths: tuple[str, ...] = ()  # property paths that differ

    @property
    def type(self) -> str:
        return self.urn.split("::")[2].rpartition("$")[2]

    @property
    def name(self) -> str:
        return self.urn.split("::")[3]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one command of the engine."""

    ok: bool
    seconds: float
    changes: Mapping[str, int]  # operation -> number of resources
    steps: tuple[Step, ...]
    messages: tuple[str, ...]  # warnings and errors
    output: str  # what a user sees

    @property
    def unchanged(self) -> bool:
        """Whether nothing was, or would be, changed."""
        return self.ok and not self.changed

    @property
    def changed(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.op not in QUIET)


class EngineFailed(AssertionError):
    """A command of the engine did not succeed."""


@dataclass
class Engine:
    """One stack of a program. The program's folder is copied: nothing is written to the checkout.

    `folders` are those of `pulumi`, the Python language host and its helpers, which go in front
    of PATH; the stand-in comes last, so that a real plugin on PATH is taken.
    """

    work: Path  # a folder of its own: program, state, plugins
    folders: Sequence[Path]
    kubeconfig: Path | None = None
    stack: str = "dev"
    program: Path = ROOT / "infra"
    venv: Path = field(default_factory=lambda: Path(sys.prefix))
    environment: Mapping[str, str] = field(default_factory=dict)
    passphrase: str = "for tests"

    def __post_init__(self) -> None:
        self.folder = self.work / "program"
        self.backend = self.work / "state"
        path = os.pathsep.join([*map(str, self.folders), os.environ.get("PATH", "")])
        plugin, self.plugin = kubernetes_plugin(path)
        self._path = os.pathsep.join([str(self.venv / "bin"), path, str(plugin)])
        self._log = self.work / "events.jsonl"

    @property
    def env(self) -> dict[str, str]:
        """The environment that the engine runs in; also what a person needs to run it by hand."""
        own = {
            "PATH": self._path,
            "PULUMI_HOME": str(self.work / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_CONFIG_PASSPHRASE": self.passphrase,
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_COMMANDS": "1",
            "NO_COLOR": "1",
            # each operation starts six Pythons: compiled code is kept, as it is for a user
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "kitestring-e2e-bytecode"),
        }
        if self.kubeconfig is not None:
            own["KUBECONFIG"] = str(self.kubeconfig)
        return {**os.environ, **own, **self.environment}

    def init(self, config: Mapping[str, str]) -> None:
        """Copies the program, makes the stack, and sets its configuration."""
        self.backend.mkdir(parents=True, exist_ok=True)
        if not self.folder.exists():
            skip = shutil.ignore_patterns("clusters", "__pycache__", "Pulumi.*.yaml")
            shutil.copytree(self.program, self.folder, ignore=skip)
            settings = self.folder / "Pulumi.yaml"
            settings.write_text(
                settings.read_text().replace("virtualenv: ../.venv", f"virtualenv: {self.venv}")
            )
        self._run("stack", "select", "--create", self.stack)
        self.configure(config)

    def configure(self, config: Mapping[str, str]) -> None:
        """Sets values of the stack's configuration."""
        for key, value in config.items():
            self._run("config", "set", "--stack", self.stack, key, value)

    def unprotect(self) -> None:
        """Lets `destroy` take what the program protects."""
        self._run("state", "unprotect", "--all", "--yes", "--stack", self.stack)

    def preview(self, *flags: str, check: bool = True) -> Outcome:
        """What `up` would do."""
        return self._operation("preview", "--diff", *flags, check=check)

    def up(self, *flags: str, check: bool = True) -> Outcome:
        """Brings the cluster to what the program says."""
        return self._operation("up", "--yes", "--skip-preview", "--diff", *flags, check=check)

    def refresh(self, *flags: str, check: bool = True) -> Outcome:
        """Brings the state to what the cluster is."""
        return self._operation("refresh", "--yes", "--skip-preview", *flags, check=check)

    def destroy(self, *flags: str, check: bool = True) -> Outcome:
        """Takes away what the stack made."""
        return self._operation("destroy", "--yes", "--skip-preview", *flags, check=check)

    def export(self) -> dict[str, Any]:
        """The stack's state as it is stored: secrets are encrypted."""
        state: dict[str, Any] = json.loads(self._run("stack", "export", "--stack", self.stack))
        return state

    def outputs(self) -> dict[str, Any]:
        """The program's exports, secrets in clear."""
        flags = ("--stack", self.stack, "--json", "--show-secrets")
        made: dict[str, Any] = json.loads(self._run("stack", "output", *flags))
        return made

    def _operation(self, verb: str, *flags: str, check: bool) -> Outcome:
        self._log.unlink(missing_ok=True)
        began = time.monotonic()
        common = ("--stack", self.stack, "--non-interactive", "--event-log", str(self._log))
        done = self._start(verb, *common, *flags)
        seconds = time.monotonic() - began
        changes, steps, messages = _read(self._log)
        ok = done.returncode == 0
        outcome = Outcome(ok, seconds, changes, steps, messages, done.stdout + done.stderr)
        if check and not ok:
            raise EngineFailed(f"pulumi {verb} failed:\n{outcome.output}")
        return outcome

    def _run(self, *arguments: str) -> str:
        done = self._start(*arguments, "--non-interactive")
        if done.returncode:
            raise EngineFailed(f"pulumi {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the engine in a session of its own, and ends it and its plugins with the test."""
        process = subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            stdout, stderr = process.communicate()
        except BaseException:
            _end(process)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def _end(process: subprocess.Popen[str]) -> None:
    """An interrupt lets the engine save its state; what is left is killed."""
    try:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _read(log: Path) -> tuple[dict[str, int], tuple[Step, ...], tuple[str, ...]]:
    changes: dict[str, int] = {}
    steps: list[Step] = []
    messages: list[str] = []
    for line in log.read_text().splitlines() if log.exists() else ():
        event = json.loads(line)
        if "summaryEvent" in event:
            changes = event["summaryEvent"].get("resourceChanges") or {}
        elif "resourcePreEvent" in event:
            data = event["resourcePreEvent"]["metadata"]
            paths = tuple(data.get("detailedDiff") or data.get("diffs") or ())
            steps.append(Step(data["op"], data["urn"], paths))
        elif "diagnosticEvent" in event:
            data = event["diagnosticEvent"]
            text = data["message"].strip()
            # where the toolchain's programs are is no news
            if data["severity"] in ("warning", "error") and " from $PATH at " not in text:
                messages.append(text)
    return changes, tuple(steps), tuple(messages)
