"""Sealing to age recipients: every object is an age file, which the `age` tool opens too.

The format is C2SP `age.md` (age-encryption.org/v1) with X25519 recipients. It is written here and
not by pyrage, because that pushes its output (a store pulls), holds the interpreter's lock at a
third of the speed, and makes heads of a random length, so that no listing could tell sizes; the
tests open what is written here by pyrage and the other way about.

age has no associated data, so an age file could stand in another object's place: what binds an
object to its key is the SHA-256 of its plaintext in the signed manifest, which every reader of a
backup checks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kitestring.backup.seal.stream import Aead, broken
from kitestring.errors import SealKeyInvalid, WrongKey
from kitestring.model import bech32

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

RECIPIENT, IDENTITY = "age", "age-secret-key-"  # prefixes of the two halves, as Bech32 has them
_VERSION = b"age-encryption.org/v1\n"
_STANZA = b"-> X25519 "
_MAC = b"---"
_INFO = b"age-encryption.org/v1/X25519"
_TEXT = 43  # characters of 32 bytes in base64 without padding
_FILE_KEY = _NONCE = 16
_STANZA_SIZE = len(_STANZA) + 2 * (_TEXT + 1)


def head_size(recipients: int) -> int:
    """Bytes before the first chunk, of a file to so many recipients."""
    return len(_VERSION) + recipients * _STANZA_SIZE + len(_MAC) + 1 + _TEXT + 1 + _NONCE


@dataclass(frozen=True, slots=True)
class Identity:
    """The private half of a key. Its text is never shown."""

    secret: X25519PrivateKey = field(repr=False)
    public: bytes


def parse_recipient(text: str) -> bytes:
    """The public key in `age1…`.

    Raises:
        SealKeyInvalid: it is mistyped, or of a kind that is not X25519 (a plugin's, a hybrid's).
    """
    try:
        prefix, data = bech32.decode(text)
        if prefix != RECIPIENT or len(data) != 32:
            raise ValueError("only X25519 recipients are known, not those of plugins or hybrids")
    except ValueError as error:
        raise SealKeyInvalid(
            f"the recipient {text[:24]}… can't be used: {error}",
            hint="`age-keygen -y` or `kitestring backup keys show` print the recipient of an "
            "identity",
            subject=text,
        ) from None
    return data


def parse_identities(text: str, name: str) -> tuple[Identity, ...]:
    """The identities in a text as `age-keygen` writes it: one a line, comments behind `#`.

    Raises:
        SealKeyInvalid: a line is none. The message does not show it.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            found.append(_identity(stripped, f"line {number} of {name}"))
    if not found:
        raise SealKeyInvalid(f"there is no age identity in {name}", subject=name)
    return tuple(found)


def new_identity() -> tuple[str, str]:
    """A new identity and its recipient, as text."""
    secret = os.urandom(32)
    public = _identity_of(secret).public
    return bech32.encode(IDENTITY, secret).upper(), recipient_text(public)


def recipient_text(public: bytes) -> str:
    """`age1…` of a public key."""
    return bech32.encode(RECIPIENT, public)


def make_head(recipients: Sequence[bytes]) -> tuple[bytes, Aead]:
    """The head of a new file, and the cipher of its chunks."""
    file_key, nonce = os.urandom(_FILE_KEY), os.urandom(_NONCE)
    head = _VERSION + b"".join(_wrapped(file_key, public) for public in recipients) + _MAC
    return head + b" " + _b64(_mac(file_key, head)) + b"\n" + nonce, _payload(file_key, nonce)


def open_head(head: bytes, identities: Sequence[Identity], key: str) -> Aead:
    """The cipher of a file's chunks, from its head (`head_size` bytes of it).

    Raises:
        WrongKey: none of the identities is one of its recipients'.
        SealBroken: the head was changed.
    """
    text, nonce = head[:-_NONCE], head[-_NONCE:]
    end = len(text) - _TEXT - 2
    mac = _unb64(text[end + 1 : -1])
    body, rest = text[:end], text[len(_VERSION) : end - len(_MAC)]
    if (
        not text.startswith(_VERSION)
        or not body.endswith(_MAC)
        or text[end : end + 1] + text[-1:] != b" \n"
        or len(rest) % _STANZA_SIZE
        or mac is None
    ):
        raise broken(key)
    stanzas = [rest[at : at + _STANZA_SIZE] for at in range(0, len(rest), _STANZA_SIZE)]
    for stanza in stanzas:
        share, wrapped = _stanza(stanza, key)
        for identity in identities:
            file_key = _unwrapped(share, wrapped, identity)
            if file_key is None:
                continue
            if not hmac.compare_digest(_mac(file_key, body), mac):
                raise broken(key)
            return _payload(file_key, nonce)
    raise WrongKey(
        f"the object {key} does not open with the identity of the spec",
        hint="it was sealed to other recipients, or its head was changed; name an identity of one "
        "of its recipients at `backup.encryption.identity`",
        subject=key,
    )


def _identity(text: str, name: str) -> Identity:
    try:
        prefix, data = bech32.decode(text)
        if prefix != IDENTITY or len(data) != 32:
            raise ValueError("it is not AGE-SECRET-KEY-1…")
    except ValueError as error:
        raise SealKeyInvalid(
            f"{name} is no age identity: {error}",
            hint="it is a line that begins with AGE-SECRET-KEY-1, as `age-keygen` prints it",
            subject=name,
        ) from None
    return _identity_of(data)


def _identity_of(secret: bytes) -> Identity:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key = X25519PrivateKey.from_private_bytes(secret)
    return Identity(key, key.public_key().public_bytes_raw())


def _wrapped(file_key: bytes, public: bytes) -> bytes:
    """One stanza: the file key for one recipient."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import (
        X25519PrivateKey,
        X25519PublicKey,
    )

    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    body = _chacha(_hkdf(shared, share + public, _INFO)).encrypt(bytes(12), file_key, None)
    return _STANZA + _b64(share) + b"\n" + _b64(body) + b"\n"


def _stanza(stanza: bytes, key: str) -> tuple[bytes, bytes]:
    """The ephemeral share and the wrapped file key of a stanza."""
    first = len(_STANZA) + _TEXT
    share = _unb64(stanza[len(_STANZA) : first])
    wrapped = _unb64(stanza[first + 1 : -1])
    if (
        not stanza.startswith(_STANZA)
        or stanza[first : first + 1] + stanza[-1:] != b"\n\n"
        or share is None
        or wrapped is None
    ):
        raise broken(key)
    return share, wrapped


def _unwrapped(share: bytes, wrapped: bytes, identity: Identity) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    try:
        shared = identity.secret.exchange(X25519PublicKey.from_public_bytes(share))
        cipher = _chacha(_hkdf(shared, share + identity.public, _INFO))
        return cipher.decrypt(bytes(12), wrapped, None)
    except (InvalidTag, ValueError):  # ValueError: a share of low order
        return None


def _mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.new(_hkdf(file_key, b"", b"header"), head, hashlib.sha256).digest()


def _payload(file_key: bytes, nonce: bytes) -> Aead:
    return _chacha(_hkdf(file_key, nonce, b"payload"))


def _chacha(key: bytes) -> Aead:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, info).derive(key)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _unb64(text: bytes) -> bytes | None:
    """32 bytes in base64 without padding and without spare bits; None for anything else."""
    try:
        data = base64.b64decode(text + b"=", validate=True)
    except ValueError:
        return None
    return data if len(data) == 32 and _b64(data) == text else None
