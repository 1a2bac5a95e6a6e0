"""Builds the pinned Go modules of this folder and fetches Kafka's jars, once for each user.

Everything goes to `$XDG_CACHE_HOME/kitestring/toolchain/<name>-<hash>/`, where the hash covers the
pinned files (go.mod and go.sum, or the POM) and the flags; a folder is made beside its place and
renamed, so what is there is whole. Cold, on two cores, this takes about 17 minutes; warm, no time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kitestring.local.guard import locked
from kitestring.local.wheel import cache_dir

HERE = Path(__file__).parent
KUBERNETES = "v1.33.4"
KAFKA_POM = HERE / "kafka-pom.xml"
DEBIAN: Mapping[str, str] = {  # a program (or file) -> the Debian package that has it
    "etcdctl": "etcd-client",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
    "gcc": "gcc",
    "strip": "binutils",
    "mvn": "maven",
    "jlink": "openjdk-17-jdk-headless",
}
_LOCK_TIMEOUT = 45 * 60.0  # seconds that a second process waits for a cold build
_JMODS = "/usr/lib/jvm"
_VERSION = "k8s.io/component-base/version"
_STAMP = (  # Kubernetes' own build sets these; without them it calls itself v0.0.0
    f"-X {_VERSION}.gitVersion={KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=33"
    f" -X {_VERSION}.gitTreeState=clean -X {_VERSION}.buildDate=1970-01-01T00:00:00Z"
)
_PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module of this folder: the packages to build, and files of modules it needs to copy."""

    name: str
    packages: tuple[str, ...]
    ldflags: str = "-s -w"
    copies: tuple[str, ...] = ()  # paths in the folder of the Python language host's module
    # what Go would call after the folder (`server`), and its real name (`etcd`)
    renames: tuple[tuple[str, str], ...] = ()


MODULES = (
    Module(
        "kubernetes",
        tuple(
            f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kubectl",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
            )
        ),
        f"-s -w {_STAMP}",
    ),
    Module("etcd", ("go.etcd.io/etcd/server/v3",), renames=(("server", "etcd"),)),
    Module("coredns", ("github.com/coredns/coredns",)),
    Module("minio", ("github.com/minio/minio",)),
    Module("helm", ("helm.sh/helm/v3/cmd/helm",)),
    Module(
        "pulumi-language-python",
        (f"{_PULUMI_SDK}/python/cmd/pulumi-language-python",),
        copies=(
            "python/cmd/pulumi-language-python-exec",
            "python/dist/pulumi-resource-pulumi-python",
            "python/dist/pulumi-analyzer-policy-python",
        ),
    ),
    Module("pulumi", ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",)),
)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The programs that were built. `folders` go in front of PATH; `kafka` holds the jars."""

    folders: tuple[Path, ...]
    kafka: Path

    def tool(self, name: str) -> Path:
        """The path of a program: one that was built, else one of the machine."""
        for folder in self.folders:
            if (folder / name).exists():
                return folder / name
        found = _which(name)
        if found is None:
            raise FileNotFoundError(f"`{name}` was neither built nor is it on this machine")
        return found

    def environment(self) -> dict[str, str]:
        """The environment of this process with the built programs first on PATH."""
        path = [*map(str, self.folders), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
        return {**os.environ, "PATH": os.pathsep.join(path)}


def missing() -> list[str]:
    """Why this machine can't run the end-to-end tests: one reason a line; empty when it can."""
    reasons = []
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        reasons.append(f"the images are made for Linux on x86_64, not {platform.machine()}")
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        reasons.append("not root: containers, network and mounts need it")
    elif _namespaces_refused():
        reasons.append("this machine lets root make no namespaces: " + _namespaces_refused())
    if _which("go") is None:
        reasons.append("no `go` (1.24 or newer) to build Kubernetes, Pulumi and MinIO")
    lacking = packages_lacking()
    if lacking and (_which("apt-get") is None or os.geteuid() != 0):
        reasons.append(f"these Debian packages are not installed: {' '.join(lacking)}")
    return reasons


def packages_lacking() -> list[str]:
    """The Debian packages whose programs are not on this machine."""
    lacking = {package for program, package in DEBIAN.items() if _which(program) is None}
    if not list(Path(_JMODS).glob("*/jmods/java.base.jmod")):
        lacking.add(DEBIAN["jlink"])
    return sorted(lacking)


def install_packages() -> None:
    """Installs the Debian packages that are lacking; nothing of theirs is started."""
    lacking = packages_lacking()
    if not lacking:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *lacking],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode and command[1] == "install":
            raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stderr[-2000:]}")


def build(say: Callable[[str], None] = lambda _: None) -> Toolchain:
    """Builds what is not in the cache yet; `say` is told what takes time.

    Raises:
        RuntimeError: a build failed; the message ends with its last words.
    """
    install_packages()
    root = cache_dir() / "toolchain"
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / "lock", timeout=_LOCK_TIMEOUT, busy="the test toolchain is being built"):
        folders = tuple(_module(root, module, say) / "bin" for module in MODULES)
        kafka = _kafka(root, say) / "jars"
    return Toolchain(folders, kafka)


def built() -> bool:
    """Whether all programs are in the cache."""
    root = cache_dir() / "toolchain"
    return all(_target(root, module).is_dir() for module in MODULES) and _jars(root).is_dir()


@contextmanager
def made(target: Path) -> Iterator[Path]:
    """A folder to fill, renamed to `target` when all went well; the caller holds a lock."""
    for leftover in target.parent.glob(f"{target.name}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = target.parent / f"{target.name}.new-{os.getpid()}"
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def digest(parts: Iterable[bytes | str | Path]) -> str:
    """16 hex digits over texts and the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part
        data = data.encode() if isinstance(data, str) else data
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


def _target(root: Path, module: Module) -> Path:
    """Where a module's programs are: another recipe is another folder."""
    source = HERE / module.name
    recipe = (*module.packages, module.ldflags, *module.copies)
    return root / f"{module.name}-{digest((*recipe, source / 'go.mod', source / 'go.sum'))}"


def _jars(root: Path) -> Path:
    return root / f"kafka-{digest((KAFKA_POM,))}"


def _module(root: Path, module: Module, say: Callable[[str], None]) -> Path:
    source, target = HERE / module.name, _target(root, module)
    if target.is_dir():
        return target
    with made(target) as folder:
        (folder / "bin").mkdir()
        for package in module.packages:
            began = time.monotonic()
            say(f"building {package}")
            flags = ["-buildvcs=false", "-mod=readonly", f"-ldflags={module.ldflags}"]
            _run(["go", "build", *flags, "-o", f"{folder / 'bin'}/", package], source)
            say(f"  built in {time.monotonic() - began:.0f} s")
        for made_as, name in module.renames:
            (folder / "bin" / made_as).rename(folder / "bin" / name)
        if module.copies:
            base = Path(_run(["go", "list", "-m", "-f", "{{.Dir}}", _PULUMI_SDK], source).strip())
            for copy in module.copies:
                shutil.copyfile(base / copy, folder / "bin" / Path(copy).name)
                (folder / "bin" / Path(copy).name).chmod(0o755)
    return target


def _kafka(root: Path, say: Callable[[str], None]) -> Path:
    target = _jars(root)
    if target.is_dir():
        return target
    say("fetching Kafka's jars")
    with made(target) as folder:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        output = f"-DoutputDirectory={folder / 'jars'}"
        shutil.copyfile(KAFKA_POM, folder / "pom.xml")
        _run(["mvn", "-q", "-B", "-f", str(folder / "pom.xml"), *goal, output], folder)
    return target


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        words = (done.stderr or done.stdout)[-3000:]
        raise RuntimeError(f"`{' '.join(command)}` failed in {folder}:\n{words}")
    return done.stdout


def _which(program: str) -> Path | None:
    """Also where an unprivileged PATH does not look."""
    if program.startswith("/"):
        return Path(program) if Path(program).exists() else None
    path = os.environ.get("PATH", "") + ":/usr/local/go/bin:/usr/sbin:/sbin"
    found = shutil.which(program, path=path)
    return Path(found) if found else None


def _namespaces_refused() -> str:
    unshare = shutil.which("unshare")
    if unshare is None:
        return "no `unshare`"
    command = [unshare, "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


if __name__ == "__main__":
    # `make test` ends this when other tests have failed: a compiler must not go on without it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if why := missing():
        sys.exit("the toolchain can't be built here:\n  " + "\n  ".join(why))
    print(build(lambda line: print(line, file=sys.stderr, flush=True)).environment()["PATH"])
