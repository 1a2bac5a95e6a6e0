"""Tells people: by mail, by a webhook, by a command."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from kitestring.clients.secrets import read_secret
from kitestring.errors import NotifyFailed
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.notify import Mail, Webhook

TIMEOUT = 60.0  # seconds


def send_mail(loaded: LoadedSpec, mail: Mail, subject: str, text: str) -> None:
    """Sends one message to all addresses.

    Raises:
        SecretMissing: the password is not there.
        NotifyFailed: the server can't be reached, or did not take it for every address.
    """
    message = EmailMessage()
    message["Subject"] = " ".join(subject.split())
    message["From"], message["To"] = mail.sender, ", ".join(mail.to)
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid()
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    message.set_content(text)
    password = read_secret(loaded, mail.password)
    host, port = mail.where
    try:
        context = ssl.create_default_context()
        with (
            smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=context)
            if mail.protection == "tls"
            else smtplib.SMTP(host, port, timeout=TIMEOUT)
        ) as server:
            if mail.protection == "starttls":
                server.starttls(context=context)
            if mail.user is not None:
                server.login(mail.user, password)
            refused = server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotifyFailed(
            f"the mail server {host}:{port} did not take the message: {error}",
            hint="see `day2.mail` of the spec",
            subject=f"{host}:{port}",
        ) from None
    if refused:
        raise NotifyFailed(
            f"the mail server {host}:{port} does not deliver to {', '.join(refused)}",
            hint="see `day2.mail.to` of the spec",
            subject=f"{host}:{port}",
        )


def post_webhook(loaded: LoadedSpec, webhook: Webhook, document: Mapping[str, Any]) -> None:
    """Posts a JSON document. The URL is not shown where it is a secret.

    Raises:
        SecretMissing: the URL is a secret that is not there.
        NotifyFailed: nobody answers, or not with a status of success.
    """
    url = webhook.url or read_secret(loaded, webhook.secret_url)
    named = webhook.url or "the webhook of `day2.webhook.secret_url`"
    try:
        request = urllib.request.Request(  # noqa: S310 - http and https, by the spec or below
            url,
            data=json.dumps(document).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "kitestring"},
            method="POST",
        )
        if request.type not in ("http", "https"):
            raise ValueError("no http or https URL")
        with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
            pass
    except (OSError, ValueError) as error:
        why = "no http or https URL" if isinstance(error, ValueError) else str(error)
        raise NotifyFailed(
            f"{named} did not take the message: {why}", hint="see `day2.webhook` of the spec"
        ) from None


def run_command(loaded: LoadedSpec, command: list[str], text: str, more: Mapping[str, str]) -> None:
    """Runs a command in the folder of the spec, with the text on its standard input.

    Raises:
        NotifyFailed: there is no such command, or it failed.
    """
    folder: Path = loaded.file.resolve().parent
    try:
        done = subprocess.run(
            command,
            input=text,
            env={**os.environ, **more},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotifyFailed(str(error), hint="see `day2.notify` of the spec") from None
    if done.returncode:
        raise NotifyFailed(
            done.stderr.strip() or f"it ended with {done.returncode}",
            hint="see `day2.notify` of the spec",
        )
