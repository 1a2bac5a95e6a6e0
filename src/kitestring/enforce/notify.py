"""Tells everybody whom `day2` of the spec names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kitestring.clients.notify import post_webhook, run_command, send_mail
from kitestring.errors import KitestringError, NotifyFailed, UsageError
from kitestring.spec.loaded import LoadedSpec


@dataclass(frozen=True, slots=True)
class Message:
    """What happened. `facts` are the keys of the webhook's document beside `text` and `subject`."""

    subject: str
    text: str
    facts: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """What is posted; chat servers (Slack, Mattermost, Google Chat) show `text`."""
        text = f"{self.subject}\n{self.text}" if self.text else self.subject
        return {"schema_version": 1, "text": text, "subject": self.subject, **self.facts}

    def environment(self) -> dict[str, str]:
        """The facts as variables of a command."""
        return {f"KITESTRING_{key.upper()}": str(value) for key, value in self.facts.items()}


def ways_to_tell(loaded: LoadedSpec) -> dict[str, Callable[[Message], None]]:
    """What the spec names, by its key: `day2.notify`, `day2.mail`, `day2.webhook`."""
    day2 = loaded.spec.day2
    ways: dict[str, Callable[[Message], None]] = {}
    if day2.notify:
        ways["day2.notify"] = lambda m: run_command(
            loaded, day2.notify, f"{m.subject}\n{m.text}\n", m.environment()
        )
    if (mail := day2.mail) is not None:
        ways["day2.mail"] = lambda m: send_mail(loaded, mail, m.subject, m.text + "\n")
    if (webhook := day2.webhook) is not None:
        ways["day2.webhook"] = lambda m: post_webhook(loaded, webhook, m.document())
    return ways


def tell(loaded: LoadedSpec, message: Message) -> dict[str, str]:
    """Tells all of them; by its key, why one could not be told. One failure stops no other."""
    failed = {}
    for name, way in ways_to_tell(loaded).items():
        try:
            way(message)
        except KitestringError as error:
            failed[name] = error.message
    return failed


def notify(loaded: LoadedSpec, subject: str, text: str, *, dry_run: bool = False) -> list[str]:
    """Tells all of them, for a play; the keys of those that were told, or would be.

    Raises:
        UsageError: the spec names nobody.
        NotifyFailed: one or more could not be told; the others were.
    """
    ways = list(ways_to_tell(loaded))
    if not ways:
        raise UsageError(
            f"{loaded.file} names nobody to be told",
            hint="add `day2.mail`, `day2.webhook` or `day2.notify` to the spec",
        )
    facts = {"cluster": loaded.spec.cluster.name}
    failed = {} if dry_run else tell(loaded, Message(subject, text, facts))
    if failed:
        raise NotifyFailed(
            "; ".join(f"`{name}` could not be told: {why}" for name, why in failed.items()),
            hint="the others were told" if len(failed) < len(ways) else "nobody was told",
        )
    return ways
