"""What is in each image: the layout of the official ones, with binaries that were built here.

The Milvus is the one of the PyPI wheel; MinIO and etcd are built from their Go modules (`etcdctl`
is Debian's); Kafka's jars run on a JRE that `jlink` cuts out of the machine's JDK. Like the
official ones, the image of etcd has no shell, and images other than Kafka's name no user.
"""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from kitestring.local.wheel import find_wheel, unpacked
from kitestring.manifests.images import TESTED, with_registry
from tests.e2e.images import jobs
from tests.e2e.images.layers import PATH, Image, Layer, copy, open_folders, remove, write
from tests.e2e.toolchain.build import Toolchain

REGISTRY = "kitestring.test"
PAUSE = f"{REGISTRY}/pause:3.10"
MILVUS = f"{REGISTRY}/milvusdb/milvus:v2.3.5"
ETCD, MINIO, KAFKA = (with_registry(TESTED[name], REGISTRY) for name in ("etcd", "minio", "kafka"))
JOBS = jobs.NAME
_JRE_MODULES = (
    "java.base,java.logging,java.management,java.naming,java.security.jgss,java.security.sasl,"
    "java.sql,java.xml,jdk.crypto.ec,jdk.management,jdk.security.auth,jdk.unsupported"
)
_NOT_NEEDED = (
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/i18n/*",
    "usr/share/zoneinfo/*",
    "usr/lib/x86_64-linux-gnu/gconv/*",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "usr/bin/perl*",
    "usr/lib/apt",
    "usr/lib/systemd",
    "usr/lib/udev",
    "var/cache/*",
    "var/log/*",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/info/*",
    "dev/*",
)
_PAUSE_SOURCE = """\
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void stop(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) {
  signal(SIGINT, stop); signal(SIGTERM, stop); signal(SIGCHLD, reap);
  for (;;) pause();
}
"""
_KAFKA_SCRIPT = """\
#!/bin/sh
exec java ${{KAFKA_HEAP_OPTS:--Xmx1G -Xms1G}} ${{KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseG1GC}} \\
  ${{KAFKA_OPTS:-}} -cp '/opt/kafka/libs/*' {name} "$@"
"""
_MINIO_SCRIPT = """\
#!/bin/sh
[ "${1}" = minio ] || set -- minio "$@"
exec "$@"
"""
_GLOG = "--logtostdout=true\n--logtostderr=false\n--minloglevel=1\n"


def recipes(toolchain: Toolchain) -> dict[str, Image]:
    """Every image by its name."""
    base = Layer("base", (_source(_base), _source(_debian), *_NOT_NEEDED, _suite()), _base)
    wheel = find_wheel()
    jars = sorted(jar.name for jar in toolchain.kafka.glob("*.jar"))
    return {
        PAUSE: Image((Layer("pause", (_PAUSE_SOURCE,), _pause),), entrypoint=["/pause"]),
        MILVUS: Image(
            (
                base,
                Layer(
                    "milvus", (_source(_milvus), _source(_official), wheel.version, _GLOG), _milvus
                ),
            ),
            entrypoint=["/tini", "--"],
            env={
                "PATH": f"/milvus/bin:{PATH}",
                "LD_LIBRARY_PATH": "/milvus/lib",
                "MILVUSCONF": "/milvus/configs/",
            },
            workdir="/milvus",
        ),
        ETCD: Image(
            (
                Layer(
                    "etcd",
                    (_source(_etcd), str(toolchain.tool("etcd"))),
                    lambda folder: _etcd(folder, toolchain),
                ),
            ),
            cmd=["/usr/local/bin/etcd"],
        ),
        MINIO: Image(
            (
                base,
                Layer(
                    "minio",
                    (_MINIO_SCRIPT, str(toolchain.tool("minio"))),
                    lambda folder: _minio(folder, toolchain),
                ),
            ),
            entrypoint=["/usr/bin/docker-entrypoint.sh"],
            cmd=["minio"],
        ),
        KAFKA: Image(
            (
                base,
                Layer("jre", (_JRE_MODULES, _source(_jre)), _jre),
                Layer(
                    "kafka",
                    (_KAFKA_SCRIPT, *jars),
                    lambda folder: _kafka(folder, toolchain),
                ),
            ),
            cmd=["/opt/kafka/bin/kafka-server-start.sh", "/opt/kafka/config/server.properties"],
            env={"PATH": f"/opt/java/openjdk/bin:/opt/kafka/bin:{PATH}"},
            user="1000:1000",
            workdir="/opt/kafka",
        ),
        JOBS: jobs.jobs_image(_debian, "".join((_source(_debian), *_NOT_NEEDED, _suite()))),
    }


def _base(folder: Path) -> None:
    _debian(folder, "tini,ca-certificates")
    copy(folder / "usr" / "bin" / "tini", folder / "tini")


def _debian(folder: Path, packages: str) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={packages}"]
    mirror = _mirror()
    _run(*command, _suite(), str(folder), *([mirror] if mirror else []))
    remove(folder, _NOT_NEEDED)
    write(folder / "etc" / "resolv.conf", "")
    open_folders(folder)


def _milvus(folder: Path) -> None:
    wheel = find_wheel()
    binaries = unpacked(wheel)
    copy(binaries / "milvus", folder / "milvus" / "bin" / "milvus")
    for library in binaries.glob("lib*.so*"):
        copy(library, folder / "milvus" / "lib" / library.name)
    configs = folder / "milvus" / "configs"
    template = (wheel.data / "config.yaml.template").read_text()
    write(configs / "milvus.yaml", _official(template))
    write(configs / "glog.conf", _GLOG)
    (folder / "var" / "lib" / "milvus").mkdir(parents=True)


def _official(template: str) -> str:
    """The wheel's template with the defaults of its placeholders, and what the official file has
    where the wheel means one process on one machine."""
    text = re.sub(r"\{\{\s*\w+\s*(?:\(\w+\))?\s*(?::\s*([^}]*?))?\s*\}\}", r"\1", template)
    document = yaml.safe_load(text)
    document["etcd"]["use"]["embed"] = False
    document["etcd"]["data"]["dir"] = "default.etcd"
    document["localStorage"]["path"] = "/var/lib/milvus/data/"
    document["rocksmq"]["path"] = "/var/lib/milvus/rdb_data"
    document["common"]["storageType"] = "remote"
    document["mq"]["type"] = "default"
    document["log"]["file"]["rootPath"] = ""
    for name in ("rootCoord", "queryCoord", "queryNode", "dataCoord", "indexNode", "dataNode"):
        document[name]["ip"] = None
    return str(yaml.safe_dump(document, sort_keys=False))


def _etcd(folder: Path, toolchain: Toolchain) -> None:
    for name in ("etcd", "etcdctl"):
        program = toolchain.tool(name)
        copy(program, folder / "usr" / "local" / "bin" / name)
        for library in re.findall(r"(/\S+) \(0x", _run("ldd", str(program))):
            copy(Path(library), folder / library.lstrip("/"))
    open_folders(folder)


def _minio(folder: Path, toolchain: Toolchain) -> None:
    copy(toolchain.tool("minio"), folder / "usr" / "bin" / "minio")
    write(folder / "usr" / "bin" / "docker-entrypoint.sh", _MINIO_SCRIPT, 0o755)
    (folder / "data").mkdir()


def _jre(folder: Path) -> None:
    (folder / "opt" / "java").mkdir(parents=True)
    jmods = sorted(Path("/usr/lib/jvm").glob("*/jmods/java.base.jmod"))[-1].parent
    flags = ["--strip-debug", "--no-header-files", "--no-man-pages"]
    output = str(folder / "opt" / "java" / "openjdk")
    jlink = str(jmods.parent / "bin" / "jlink")
    _run(jlink, "-p", str(jmods), "--add-modules", _JRE_MODULES, *flags, "--output", output)


def _kafka(folder: Path, toolchain: Toolchain) -> None:
    home = folder / "opt" / "kafka"
    for jar in toolchain.kafka.glob("*.jar"):
        copy(jar, home / "libs" / jar.name, 0o644)
    tools = {"kafka-storage.sh": "kafka.tools.StorageTool", "kafka-server-start.sh": "kafka.Kafka"}
    for script, name in tools.items():
        write(home / "bin" / script, _KAFKA_SCRIPT.format(name=name), 0o755)
    (home / "config").mkdir()


def _pause(folder: Path) -> None:
    source = folder / "pause.c"
    source.write_text(_PAUSE_SOURCE)
    _run("gcc", "-Os", "-static", "-s", "-o", str(folder / "pause"), str(source))
    source.unlink()


def _suite() -> str:
    """Debian's name of this machine's release; binaries built here run on its libraries."""
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "stable"


def _mirror() -> str | None:
    """Where this machine's apt gets its packages from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if "security" not in line]
    return found[0] if done.returncode == 0 and found else None


def _source(function: Callable[..., object]) -> str:
    """The text of a function: a layer is made again when what fills it was changed."""
    return inspect.getsource(function)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        words = (done.stderr or done.stdout)[-2000:]
        raise RuntimeError(f"`{shutil.which(command[0])}` failed: {' '.join(command)}\n{words}")
    return done.stdout
