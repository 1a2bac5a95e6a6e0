"""`python -m tests.e2e.node up|down|status`: a node that stays, for developers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.e2e.images.build import IMAGES
from tests.e2e.node.node import Node, NodeFailed, default_home
from tests.e2e.toolchain.build import build, missing


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.node", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "status"])
    parser.add_argument("--dir", type=Path, default=default_home(), help="the node's directory")
    parser.add_argument(
        "--images",
        nargs="*",
        default=IMAGES,
        metavar="IMAGE",
        help="images to load (default: all)",
    )
    wanted = parser.parse_args()
    if why := missing():
        _say("no node can run here:\n  " + "\n  ".join(why))
        return 1
    node = Node(
        wanted.dir,
        build(_say),
        images=wanted.images,
        tied=False,
        say=_say,
    )
    if wanted.action == "status":
        print(f"{node.kubeconfig} is up" if node.is_up() else "down")
        return 0 if node.is_up() else 2
    try:
        node.up() if wanted.action == "up" else node.down()
    except NodeFailed as error:
        _say(f"error: {error}")
        return 1
    if wanted.action == "up":
        print(node.kubeconfig)
    return 0


if __name__ == "__main__":
    sys.exit(main())
