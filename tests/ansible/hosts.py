"""Hosts that Ansible reaches over SSH: a few namespaces of this machine each.

A host has an address of its own at the end of a link, its own processes with a real sshd and a
real cron, its own home in `/srv`, crontabs and name; the rest of the file system is this machine's.
When its first process ends, the kernel takes away all of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.node.space import die_with_parent
from tests.waiting import until

USER = "root"
PROGRAMS = ("unshare", "nsenter", "ip", "ssh", "ssh-keygen", "cron", "crontab", "/usr/sbin/sshd")
_LINKS = 200  # names that are tried
_FIRST = """
set -e
for folder in /run /srv /var/spool/cron; do mount -t tmpfs -o mode=755 tmpfs $folder; done
mkdir /run/sshd /run/empty /srv/home && mkdir -m 1730 /var/spool/cron/crontabs
chgrp crontab /var/spool/cron/crontabs
mount --bind /run/empty /etc/cron.d && mount --bind /dev/null /etc/crontab
# sshd lets nobody in whose account is locked, as root's is on some machines
sed 's/^root:[^:]*/root:*/' /etc/shadow >/run/shadow && mount --bind /run/shadow /etc/shadow
sed '/^root:/s|:/[^:]*:|:/srv/home:|' /etc/passwd >/run/passwd
mount --bind /run/passwd /etc/passwd
hostname "$1"
echo unshared && read -r go
ip link set lo up && ip link set eth0 up && ip address add "$2/24" dev eth0
cron
exec /usr/sbin/sshd -D -e -f /dev/null -h "$3/host-key" -o ListenAddress="$2" \
  -o AuthorizedKeysFile="$3/key.pub" -o StrictModes=no -o UsePAM=no -o PasswordAuthentication=no \
  -o PidFile=none -o Subsystem="sftp internal-sftp"
"""


def why_none() -> str:
    """Why this machine can't have such hosts; empty where it can."""
    if os.getuid() != 0:
        return "hosts over SSH need root, for network namespaces"
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        return f"hosts over SSH need {', '.join(missing)} (Debian: openssh-server, iproute2, cron)"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "true"], capture_output=True
    )
    return "" if done.returncode == 0 else f"no namespaces: {done.stderr.decode().strip()}"


@dataclass(frozen=True)
class Host:
    """One host. `gateway` is this machine's end of the link."""

    name: str
    address: str
    gateway: str
    pid: int

    def run(self, *command: str) -> str:
        """What a command prints on this host."""
        inside = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--uts", "--pid", "--"]
        done = subprocess.run([*inside, *command], capture_output=True, text=True, check=True)
        return done.stdout

    def crontab(self) -> str:
        """The table of this host's user; empty for none."""
        return self.run("sh", "-c", f"cat /var/spool/cron/crontabs/{USER} 2>/dev/null || true")


@dataclass(frozen=True)
class Fleet:
    """Hosts, and what reaches them."""

    folder: Path
    hosts: tuple[Host, ...]

    def variables(self, address: str) -> dict[str, str]:
        """Inventory variables of a host at an address."""
        options = (
            f"-F /dev/null -o UserKnownHostsFile={self.folder / 'known'} -o IdentitiesOnly=yes "
            "-o StrictHostKeyChecking=yes -o ConnectTimeout=20"
        )
        return {
            "ansible_host": address,
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(self.folder / "key"),
            "ansible_ssh_common_args": options,
        }


@contextmanager
def fleet(folder: Path, names: tuple[str, ...]) -> Iterator[Fleet]:
    """Hosts with these names, ready for connections; their keys are in `folder`."""
    for key in ("key", "host-key"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(make, check=True)
    public = (folder / "host-key.pub").read_text().split()[:2]
    with ExitStack() as running:
        hosts = tuple(running.enter_context(_host(folder, name)) for name in names)
        known = [" ".join((host.address, *public)) for host in hosts]
        (folder / "known").write_text("\n".join(known) + "\n")
        yield Fleet(folder, hosts)


@contextmanager
def _host(folder: Path, name: str) -> Iterator[Host]:
    number, link = _claim()
    gateway, address = (f"10.216.{number}.{end}" for end in (1, 2))
    spaces = ["--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
    log = folder / f"{name}.log"
    first = subprocess.Popen(
        ["unshare", *spaces, "sh", "-c", _FIRST, "sh", name, address, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log.open("wb"),
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    assert first.stdin
    assert first.stdout
    try:
        assert first.stdout.readline() == b"unshared\n", log.read_text()
        for step in (
            ["link", "set", f"{link}p", "netns", str(first.pid), "name", "eth0"],
            ["address", "add", f"{gateway}/24", "dev", link],
            ["link", "set", link, "up"],
        ):
            subprocess.run(["ip", *step], check=True)
        first.stdin.write(b"go\n")
        first.stdin.flush()
        until(lambda: first.poll() is not None or "Server listening" in log.read_text())
        assert first.poll() is None, log.read_text()
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        yield Host(name, address, gateway, int(children[0]))
    finally:
        first.kill()
        first.wait()
        for pipe in (first.stdin, first.stdout):
            pipe.close()
        subprocess.run(["ip", "link", "delete", link], capture_output=True)


def _claim() -> tuple[int, str]:
    """The first free number; the name of the link is what claims it."""
    for number in range(_LINKS):
        link = f"kitehost{number}"
        ends = ["type", "veth", "peer", "name", f"{link}p"]
        done = subprocess.run(["ip", "link", "add", "name", link, *ends], capture_output=True)
        if done.returncode == 0:
            return number, link
    raise RuntimeError("no free link for a host")
