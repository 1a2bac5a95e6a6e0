"""The scheduled tasks of a spec as systemd units, and whether systemd would run them."""

from __future__ import annotations

import getpass
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kitestring.clients.cron import TIMES, command_of
from kitestring.manifests.calendar import on_calendar
from kitestring.spec.loaded import LoadedSpec

_SERVICE = """\
[Unit]
Description={title}
{network}
[Service]
Type=oneshot
ExecStart={command}
"""
_TIMER = """\
[Unit]
Description={title}

[Timer]
OnCalendar={when}
Persistent=true

[Install]
WantedBy=timers.target
"""
_NETWORK = "Wants=network-online.target\nAfter=network-online.target\n"  # users have no such target


@dataclass(frozen=True, slots=True)
class Timer:
    """A service and the timer that starts it: files `<unit>.service` and `<unit>.timer`."""

    unit: str
    folder: Path
    when: str  # a calendar event
    service: str
    timer: str

    @property
    def files(self) -> tuple[Path, Path]:
        return self.folder / f"{self.unit}.service", self.folder / f"{self.unit}.timer"

    def as_dict(self) -> dict[str, Any]:
        service, timer = self.files
        return {
            "unit": self.unit,
            "when": self.when,
            "service_file": str(service),
            "timer_file": str(timer),
            "service": self.service,
            "timer": self.timer,
            "written": any(file.exists() for file in self.files),
        }


@dataclass(frozen=True, slots=True)
class SystemdHost:
    """Whether systemd runs on this host and would run this user's timers, in which scope."""

    running: bool
    scope: str  # system or user
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"running": self.running, "scope": self.scope, "reason": self.reason}


def timer_of(loaded: LoadedSpec, task: str, folder: Path | None = None) -> Timer:
    """The units of one task, at the times of its cron entry; a run that was missed is caught up.

    Args:
        folder: where units are; `day2.units` of the spec by default, without it systemd's own
            folder for root and the user's otherwise.
    """
    where = hashlib.sha256(str(loaded.file.resolve()).encode()).hexdigest()[:8]
    name = loaded.spec.cluster.name
    title = f"kitestring {task} of {name} ({loaded.file.resolve()})".replace("%", "%%")
    when = on_calendar(TIMES[task](loaded.spec))
    units = loaded.spec.day2.units
    named = loaded.resolve(units) if units else None
    return Timer(
        f"kitestring-{name}-{task}-{where}",
        folder or named or _folder(),
        when,
        _SERVICE.format(
            title=title,
            network=_NETWORK if _scope() == "system" else "",
            command=" ".join(map(_quoted, command_of(loaded, task))),
        ),
        _TIMER.format(title=title, when=when),
    )


def probe_systemd(root: Path = Path("/")) -> SystemdHost:
    """Looks at this host; changes nothing. `/run/systemd/system` is there where systemd is the
    init: sd_booted(3)."""
    scope = _scope()
    if not (root / "run/systemd/system").is_dir():
        return SystemdHost(False, scope, "systemd does not run on this host")
    user = getpass.getuser()
    if scope == "user" and not (root / "var/lib/systemd/linger" / user).exists():
        return SystemdHost(
            True,
            scope,
            f"timers of {user} run only while that user is logged in "
            f"(`loginctl enable-linger {user}` changes that)",
        )
    return SystemdHost(True, scope)


def _scope() -> str:
    return "system" if os.geteuid() == 0 else "user"


def _folder() -> Path:
    if _scope() == "system":
        return Path("/etc/systemd/system")
    configured = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(configured).expanduser() / "systemd" / "user"


def _quoted(argument: str) -> str:
    """An argument of `ExecStart=`: specifiers and variables are escaped (systemd.service(5))."""
    text = argument.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = text == argument and argument and not set(argument) & set(" \t';")
    return text if plain else f'"{text}"'
