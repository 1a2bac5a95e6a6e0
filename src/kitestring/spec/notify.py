"""Who is told when a scheduled task does not end well."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kitestring.spec.types import MAIL_ADDRESS, URI, Model, SecretRef, across

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"none": 25, "starttls": 587, "tls": 465}
Address = Annotated[str, Field(pattern=MAIL_ADDRESS)]


class Webhook(Model):
    """A URL that a JSON document is posted to; its `text` is what chat servers show."""

    url: str | None = Field(None, pattern=URI, description="such as https://chat.example.com/hook")
    secret_url: SecretRef | None = Field(
        None, description="instead of `url`, where whoever knows the URL may post"
    )

    @model_validator(mode="after")
    def _one(self) -> Webhook:
        if (self.url is None) == (self.secret_url is None):
            raise across("name either `url` or `secret_url`")
        return self


class Mail(Model):
    """Mail through an SMTP server."""

    to: list[Address] = Field(min_length=1, description="addresses")
    sender: Address = Field(description="the address that it comes from")
    host: str = Field("localhost", min_length=1, description="the SMTP server")
    port: int | None = Field(
        None, ge=1, le=65535, description="25, with `starttls` 587, with `tls` 465 by default"
    )
    security: Literal["none", "starttls", "tls"] | None = Field(
        None, description="`starttls` by default, and `none` where the server is this host"
    )
    user: str | None = Field(None, min_length=1, description="of the SMTP server")
    password: SecretRef | None = Field(None, description="goes with `user`")

    @model_validator(mode="after")
    def _together(self) -> Mail:
        if (self.user is None) != (self.password is None):
            raise across("`user` and `password` go together")
        if self.password and self.protection == "none" and self.host not in _LOOPBACK:
            raise across("a password is not sent without `security`: starttls or tls")
        return self

    @property
    def protection(self) -> str:
        """How the connection is protected: `none`, `starttls` or `tls`."""
        return self.security or ("none" if self.host in _LOOPBACK else "starttls")

    @property
    def where(self) -> tuple[str, int]:
        """Host and port of the server."""
        return self.host, self.port or _PORTS[self.protection]
