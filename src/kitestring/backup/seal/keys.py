"""Makes keys, and says which ones a spec names and what they are good for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kitestring.backup.seal import age, require_cryptography
from kitestring.backup.seal.sign import fingerprint, parse_private, read_trusted
from kitestring.clients.secrets import read_secret
from kitestring.errors import KitestringError, SealError, UsageError
from kitestring.spec.backup import AgeEncryption, KmsEncryption
from kitestring.spec.loaded import LoadedSpec

Kind = Literal["signing", "age"]
_NAMES = {"signing": ("signing.key", "signing.pub"), "age": ("age.key", "age.pub")}


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A pair of files that was just made. `name`: key id, or recipient."""

    private: str
    public: str
    name: str


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key that a spec names."""

    use: str  # sign, trust, seal, open
    where: str  # file, variable, or the key itself
    name: str  # key id, recipient, or id at the key service
    remark: str = ""  # why it can't be used, or what else is to be known
    usable: bool = True


def new_pair(folder: Path, kind: Kind) -> KeyPair:
    """Writes a new private key (mode 0600) and its public half into a folder.

    Raises:
        UsageError: there is a file of that name already, or the folder can't be written.
    """
    require_cryptography()
    private_text, public_text, name = _signing() if kind == "signing" else _age()
    private, public = (folder / file for file in _NAMES[kind])
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise UsageError(
                f"{path} is there already; nothing was written",
                hint="a key that is overwritten is lost, and what it opens too: name another "
                "folder",
                subject=str(path),
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(private, private_text, 0o600)
        try:
            _write(public, public_text, 0o644)
        except BaseException:
            private.unlink()
            raise
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder} can't be written: {error.strerror}", subject=str(folder)
        ) from None
    return KeyPair(str(private.resolve()), str(public.resolve()), name)


def describe(loaded: LoadedSpec) -> list[KeyLine]:
    """The keys that a spec names, and what is wrong with them. Secrets are not in it."""
    backup = loaded.spec.backup
    lines: list[KeyLine] = []
    if backup is None:
        return lines
    if backup.signing is not None:
        trusted: set[str] = set()
        for path in backup.signing.trusted:
            line = _trusted(loaded.resolve(path))
            trusted.add(line.name)
            lines.append(line)
        if backup.signing.key is not None:
            lines.insert(0, _signer(loaded, trusted))
    if isinstance(backup.encryption, KmsEncryption):
        lines.append(KeyLine("seal, open", "key service", backup.encryption.key_id))
    elif isinstance(backup.encryption, AgeEncryption):
        lines += [_recipient(text) for text in backup.encryption.recipients]
        if backup.encryption.identity is not None:
            lines += _identities(loaded, backup.encryption)
    return lines


def _signing() -> tuple[str, str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode(), fingerprint(key.public_key())


def _age() -> tuple[str, str, str]:
    identity, recipient = age.new_identity()
    return f"# public key: {recipient}\n{identity}\n", f"{recipient}\n", recipient


def _write(path: Path, text: str, mode: int) -> None:
    """Never over an existing file, and never readable by others for a moment."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise


def _trusted(path: Path) -> KeyLine:
    try:
        (name,) = read_trusted([path])
    except SealError as error:
        return KeyLine("trust", str(path), "", error.message, usable=False)
    return KeyLine("trust", str(path), name)


def _signer(loaded: LoadedSpec, trusted: set[str]) -> KeyLine:
    signing = loaded.spec.backup.signing if loaded.spec.backup else None
    reference = signing.key if signing else None
    where = (reference.file or f"${reference.env}") if reference else ""
    try:
        name = fingerprint(
            parse_private(read_secret(loaded, reference).encode(), where).public_key()
        )
    except KitestringError as error:
        return KeyLine("sign", where, "", error.message, usable=False)
    if name in trusted:
        return KeyLine("sign", where, name)
    return KeyLine("sign", where, name, "its public key is not among `trusted`", usable=False)


def _recipient(text: str) -> KeyLine:
    try:
        age.parse_recipient(text)
    except SealError as error:
        return KeyLine("seal", "spec", text, error.message, usable=False)
    return KeyLine("seal", "spec", text)


def _identities(loaded: LoadedSpec, encryption: AgeEncryption) -> list[KeyLine]:
    reference = encryption.identity
    where = (reference.file or f"${reference.env}") if reference else ""
    try:
        found = age.parse_identities(read_secret(loaded, reference), where)
    except KitestringError as error:
        return [KeyLine("open", where, "", error.message, usable=False)]
    names = [age.recipient_text(identity.public) for identity in found]
    return [
        KeyLine(
            "open", where, name,
            "" if name in encryption.recipients else "not among `recipients`: opens older backups",
        )
        for name in names
    ]  # fmt: skip
