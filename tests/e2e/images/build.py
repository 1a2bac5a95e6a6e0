"""Puts images into a node: `python -m tests.e2e.images.build` makes them all beforehand."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.e2e.images.layers import layer_file, write_archive
from tests.e2e.images.recipes import ETCD, KAFKA, MILVUS, MINIO, PAUSE, recipes
from tests.e2e.toolchain.build import Toolchain, build, install_packages

IMAGES = (PAUSE, MILVUS, ETCD, MINIO, KAFKA)


def import_images(names: Sequence[str], ctr: Sequence[str], toolchain: Toolchain) -> None:
    """Makes what is not in the cache and imports it with that `ctr`, in one archive.

    Raises:
        KeyError: there is no recipe for an image.
        RuntimeError: an image could not be made, or containerd refused it.
    """
    known = recipes(toolchain)
    wanted = {name: known[name] for name in dict.fromkeys(names)}
    if not wanted:
        return
    command = [*ctr, "-n", "k8s.io", "images", "import", "-"]
    for image in wanted.values():
        for layer in image.layers:
            layer_file(layer)  # what goes wrong here is not containerd's fault
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `ctr` gave up, and says why
            write_archive(wanted, process.stdin)
        words = process.communicate()[0].decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"containerd refused the images: {words.strip()}")


def main() -> int:
    install_packages()
    toolchain = build(lambda line: print(line, file=sys.stderr))
    for name, image in recipes(toolchain).items():
        began = time.monotonic()
        size = sum(layer_file(layer).stat().st_size for layer in image.layers)
        print(f"{name}: {size / 2**20:.0f} MiB, {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
