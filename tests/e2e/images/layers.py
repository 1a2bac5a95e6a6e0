"""Layers of container images, made once for each user: `$XDG_CACHE_HOME/kitestring/images/`.

A layer is a tar of a folder that a function fills. Names are sorted, owners and times are zero,
so the same files give the same digest, and layers that images share are stored and sent once.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kitestring.local.guard import locked
from kitestring.local.wheel import cache_dir
from tests.e2e.toolchain.build import digest

_LOCK_TIMEOUT = 15 * 60.0  # seconds that a second process waits for the first one's layer
_KEPT = 14 * 86400.0  # seconds that a layer outlives its last use
_BLOCK = 1 << 20  # bytes copied at a time; the default of 10 KiB costs seconds
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OCI = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True)
class Layer:
    """`fill` puts the layer's files into the folder that it is given; it is called again only
    when `key` (texts, or files whose contents count) is a new one."""

    name: str
    key: tuple[str | Path, ...]
    fill: Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Image:
    """What a Dockerfile says: layers from the lowest, and the defaults of a container."""

    layers: tuple[Layer, ...]
    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"


def layer_file(layer: Layer) -> Path:
    """The tar of a layer, named by its digest; made when it is not there."""
    root = cache_dir() / "images"
    root.mkdir(parents=True, exist_ok=True)
    pointer = root / f"{layer.name}-{digest(layer.key)}"
    if not pointer.exists():
        with locked(root / f"{layer.name}.lock", timeout=_LOCK_TIMEOUT, busy=f"{root} is in use"):
            if not pointer.exists():
                _make(layer, root, pointer)
                _prune(root)
    pointer.touch()
    return root / pointer.read_text()


def write_archive(images: Mapping[str, Image], out: IO[bytes]) -> None:
    """An OCI archive of the images (name -> image), as `ctr images import` reads it."""
    blobs: dict[str, bytes] = {}
    files: dict[str, Path] = {}
    manifests = []
    for name, image in images.items():
        tars = [layer_file(layer) for layer in image.layers]
        files |= {tar.name.removesuffix(".tar"): tar for tar in tars}
        digests = [f"sha256:{tar.name.removesuffix('.tar')}" for tar in tars]
        config = _blob(blobs, _config(image, digests))
        layers = [
            {"mediaType": f"{_OCI}.layer.v1.tar", "digest": each, "size": tar.stat().st_size}
            for each, tar in zip(digests, tars, strict=True)
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": {"mediaType": f"{_OCI}.config.v1+json", **config},
            "layers": layers,
        }
        manifests.append(
            {
                "mediaType": f"{_OCI}.manifest.v1+json",
                **_blob(blobs, manifest),
                "platform": {"architecture": "amd64", "os": "linux"},
                "annotations": {"io.containerd.image.name": name},
            }
        )
    index = {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": manifests}
    with tarfile.open(fileobj=out, mode="w|", bufsize=_BLOCK, copybufsize=_BLOCK) as tar:
        _add_bytes(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add_bytes(tar, "index.json", json.dumps(index).encode())
        for name, data in blobs.items():
            _add_bytes(tar, f"blobs/sha256/{name}", data)
        for name, path in files.items():
            tar.add(path, f"blobs/sha256/{name}", filter=_plain)


def _make(layer: Layer, root: Path, pointer: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{layer.name}-", dir=root) as name:
        folder = Path(name) / "root"
        folder.mkdir(mode=0o755)
        layer.fill(folder)
        archive = Path(name) / "layer.tar"
        with tarfile.open(archive, "w") as tar:
            for path in sorted(folder.rglob("*")):
                tar.add(path, str(path.relative_to(folder)), recursive=False, filter=_plain)
        with archive.open("rb") as file:
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        archive.replace(root / f"{sha}.tar")
        new = Path(name) / "pointer"
        new.write_text(f"{sha}.tar")
        new.replace(pointer)


def _prune(root: Path) -> None:
    """Removes layers that nobody asked for in a long time; a changed recipe leaves them behind."""
    limit = time.time() - _KEPT
    pointers = [path for path in root.glob("*-*") if path.is_file() and path.suffix == ""]
    for pointer in pointers:
        if pointer.stat().st_mtime < limit:
            pointer.unlink(missing_ok=True)
    wanted = {pointer.read_text() for pointer in pointers if pointer.exists()}
    for tar in root.glob("*.tar"):
        if tar.name not in wanted and tar.stat().st_mtime < limit:
            tar.unlink(missing_ok=True)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    return info


def _config(image: Image, digests: list[str]) -> dict[str, Any]:
    env = {"PATH": PATH, **image.env}
    config = {
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Entrypoint": list(image.entrypoint) or None,
        "Cmd": list(image.cmd) or None,
        "User": image.user,
        "WorkingDir": image.workdir,
    }
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {key: value for key, value in config.items() if value},
        "rootfs": {"type": "layers", "diff_ids": digests},
    }


def _blob(blobs: dict[str, bytes], document: Mapping[str, Any]) -> dict[str, Any]:
    data = json.dumps(document, sort_keys=True).encode()
    sha = hashlib.sha256(data).hexdigest()
    blobs[sha] = data
    return {"digest": f"sha256:{sha}", "size": len(data)}


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    tar.addfile(info, io.BytesIO(data))


def copy(source: Path, target: Path, mode: int = 0o755) -> None:
    """Copies a file's contents (a link is followed) and makes the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def write(target: Path, text: str, mode: int = 0o644) -> None:
    """Writes a text file and makes the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


def remove(folder: Path, patterns: Iterable[str]) -> None:
    """Removes what matches below `folder`."""
    for pattern in patterns:
        for path in list(folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def open_folders(folder: Path) -> None:
    """Folders of temporary files keep their sticky bit whatever the umask was."""
    for name in ("tmp", "var/tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name).chmod(0o1777)
