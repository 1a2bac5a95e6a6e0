"""The image of the day-2 jobs, from the project's Dockerfile: its RUN and COPY lines are executed
in a Debian with Python, without Docker.

What stands in for the official Python image is Debian's own Python. Everything else is what
`docker build` does: what the lines leave in `/opt/kitestring`, and the user, go into the image.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from kitestring import __version__
from tests.dockerfile import Stage, stages
from tests.e2e.images.layers import Image, Layer, layer_file

ROOT = Path(__file__).resolve().parents[3]
NAME = f"kitestring.test/kitestring/kitestring:{__version__}"
PACKAGES = "python3,python3-venv,ca-certificates"
# how the host reaches its package index is no part of the image
_HOST_FILES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    "/etc/uv/uv.toml",
    "/etc/ssl/certs/ca-certificates.crt",
)
_HOST_VARIABLES = ("PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP", "http", "NO_PROXY", "no_proxy")
# mounts and processes end with the command, however that ends
_APART = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
_SCRIPT = """\
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
mount -t proc proc "$4/proc"
mount --rbind /dev "$4/dev"
shift; shift; shift; root=$1; shift
directory=$1; shift; line=$1; shift
for file in "$@"; do
  if [ -e "$file" ]; then touch "$root$file"; mount --bind "$file" "$root$file"; fi
done
exec chroot "$root" sh -ec "cd '$directory'; $line"
"""


def jobs_image(debian: Callable[[Path, str], None], key: str) -> Image:
    """The image of the Dockerfile.

    Args:
        debian: fills a folder with a Debian that has these packages.
        key: changes when what `debian` makes changes.
    """
    build, final = stages((ROOT / "Dockerfile").read_text())
    base = Layer("python", (key, PACKAGES), lambda folder: _python(folder, debian))
    copies = [i for i, (name, _) in enumerate(build.steps) if name == "COPY"]
    split = copies[1]  # before it, what a change of the sources does not touch
    first, second = build.steps[:split], build.steps[split:]
    wanted = Layer(
        "jobs-requirements",
        (*map(str, first), *_sources(first)),
        lambda folder: _execute(first, build, folder, [base], keep=("opt",)),
    )
    own = Layer(
        "jobs",
        (*map(str, second), *map(str, final.steps), *_sources(second)),
        lambda folder: _execute(
            [*second, *(("RUN", run) for run in final.of("RUN"))],
            build,
            folder,
            [base, wanted],
            keep=("opt/kitestring", "etc/passwd", "etc/group", "etc/shadow", "var/lib/kitestring"),
        ),
    )
    usual = "/usr/local/bin:/usr/bin:/bin"
    environment = {name: value.replace("$PATH", usual) for name, value in final.env.items()}
    return Image(
        (base, wanted, own),
        entrypoint=["kitestring"],
        env=environment,
        user=final.of("USER")[0],
        workdir=final.of("WORKDIR")[0],
    )


def _python(folder: Path, debian: Callable[[Path, str], None]) -> None:
    debian(folder, PACKAGES)
    (folder / "usr" / "local" / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3")


def _sources(steps: Sequence[tuple[str, str]]) -> list[Path]:
    """Every file that the COPY lines take."""
    found: list[Path] = []
    for name, rest in steps:
        for source in shlex.split(rest)[:-1] if name == "COPY" else ():
            path = ROOT / source
            files = path.rglob("*") if path.is_dir() else [path]
            found += sorted(f for f in files if f.is_file() and "__pycache__" not in f.parts)
    return found


def _execute(
    steps: Sequence[tuple[str, str]],
    stage: Stage,
    folder: Path,
    below: Sequence[Layer],
    *,
    keep: Sequence[str],
) -> None:
    """Runs the lines above the layers; `folder` gets what they changed in `keep`.

    Raises:
        RuntimeError: a line failed; with the end of what it said.
    """
    directory = stage.of("WORKDIR")[0]
    environment = {k: v for k, v in os.environ.items() if k.startswith(_HOST_VARIABLES)}
    environment |= {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **stage.env}
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        names = ("lower", "upper", "work", "root")
        lower, upper, work, root = (Path(name) / part for part in names)
        for part in (lower, upper, work, root):
            part.mkdir()
        for layer in below:
            with tarfile.open(layer_file(layer)) as tar:
                tar.extractall(lower, filter="fully_trusted")  # noqa: S202 - made by us
        (upper / directory.lstrip("/")).mkdir(parents=True)
        for instruction, rest in steps:
            if instruction == "COPY":
                _copy(rest, upper / directory.lstrip("/"))
            elif instruction == "RUN":
                command = ["unshare", *_APART, "sh", "-ec", _SCRIPT]
                paths = [str(part) for part in (lower, upper, work, root)]
                done = subprocess.run(
                    [*command, "sh", *paths, directory, rest, *_HOST_FILES],
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    raise RuntimeError(f"RUN {rest}\n{(done.stdout + done.stderr)[-3000:]}")
        for path in keep:
            if (upper / path).exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(upper / path, folder / path)


def _copy(rest: str, directory: Path) -> None:
    *sources, target = shlex.split(rest)
    for source in sources:
        to = directory / target
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / source, to)
