"""Ed25519 signatures of manifests, summaries and drill records.

What is signed is a line that says what the document is, and the document:

    kitestring/1 <context>\\n<document>

The context names the kind and the id (`manifest 20250131T013000Z-1a2b3c`), so that a signed
document proves nothing in another one's place. The signature stands beside the document as JSON;
`openssl pkeyutl -verify -rawin` checks it too. Ed25519 is RFC 8032. A key is named by the SHA-256
of its public half as DER (`SubjectPublicKeyInfo`), as `openssl pkey -pubin -outform DER |
sha256sum` gives it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitestring.backup.seal import require_cryptography
from kitestring.clients.secrets import read_secret
from kitestring.errors import SealKeyInvalid, SealKeyMissing, SignatureInvalid
from kitestring.spec.loaded import LoadedSpec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

ALGORITHM = "Ed25519"
SIGNATURE_VERSION = 1


class Signer:
    """Signs documents with one private key, which is read when it is first needed."""

    def __init__(self, read: Callable[[], Ed25519PrivateKey]) -> None:
        self._read = read

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return self._read()

    @property
    def key_id(self) -> str:
        return fingerprint(self._key.public_key())

    def sign_document(self, data: bytes, context: str) -> bytes:
        """The signature of a document, as the JSON that stands beside it.

        Raises:
            SecretMissing, SealKeyInvalid: the private key can't be read.
        """
        document = {
            "schema_version": SIGNATURE_VERSION,
            "algorithm": ALGORITHM,
            "key": self.key_id,
            "context": context,
            "signature": base64.b64encode(self._key.sign(message(data, context))).decode(),
        }
        return json.dumps(document, indent=1).encode() + b"\n"


class Verifier:
    """Checks signatures against the public keys that a spec trusts, read when first needed."""

    def __init__(self, read: Callable[[], Mapping[str, Ed25519PublicKey]]) -> None:
        self._read = read

    @cached_property
    def trusted(self) -> Mapping[str, Ed25519PublicKey]:
        """By key id."""
        return self._read()

    def check_document(self, data: bytes, context: str, signature: bytes | None) -> str:
        """The id of the trusted key that has signed the document.

        Args:
            signature: what `Signer.sign_document` gave; None where there is none.

        Raises:
            SignatureInvalid: there is none, it is by another key, or of something else.
            SealKeyInvalid, SealKeyMissing: the spec's public keys can't be read.
        """
        from cryptography.exceptions import InvalidSignature

        trusted = self.trusted
        if signature is None:
            raise SignatureInvalid(
                "it is not signed",
                hint="make a new backup; or remove `backup.signing` from the spec to read what was "
                "made before it was there",
                subject=context,
            )
        found = _parsed(signature, context)
        key = trusted.get(found["key"])
        if key is None:
            raise SignatureInvalid(
                f"it is signed by the key {found['key'][:23]}…, which the spec does not trust",
                hint="add its public key to `backup.signing.trusted` if it is yours",
                subject=context,
            )
        try:
            key.verify(_decoded(found["signature"]), message(data, context))
        except (InvalidSignature, ValueError):
            raise SignatureInvalid(
                "its signature is not that of its content: it was changed, or stands in another "
                "one's place",
                subject=context,
            ) from None
        return str(found["key"])


def message(data: bytes, context: str) -> bytes:
    """The bytes that are signed."""
    return f"kitestring/{SIGNATURE_VERSION} {context}\n".encode() + data


def signer_of(loaded: LoadedSpec) -> Signer | None:
    """Who signs by a spec; None where it names no private key."""
    signing = loaded.spec.backup.signing if loaded.spec.backup else None
    if signing is None or signing.key is None:
        return None
    require_cryptography()
    reference = signing.key
    name = reference.file or f"${reference.env}"
    return Signer(lambda: parse_private(read_secret(loaded, reference).encode(), name))


def verifier_of(loaded: LoadedSpec) -> Verifier | None:
    """Whose signatures a spec believes; None where it says nothing of signing."""
    signing = loaded.spec.backup.signing if loaded.spec.backup else None
    if signing is None:
        return None
    require_cryptography()
    paths = [loaded.resolve(path) for path in signing.trusted]
    return Verifier(lambda: read_trusted(paths))


def read_trusted(paths: Sequence[Path]) -> dict[str, Ed25519PublicKey]:
    """Public keys by their ids.

    Raises:
        SealKeyMissing: a file can't be read.
        SealKeyInvalid: it is no Ed25519 public key in PEM.
    """
    found = {}
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SealKeyMissing(
                f"the public key {path} can't be read: {error.strerror}",
                hint="`backup.signing.trusted` of the spec names files beside it; "
                "`kitestring backup keys new` makes a pair",
                subject=str(path),
            ) from None
        key = parse_public(data, str(path))
        found[fingerprint(key)] = key
    return found


def parse_private(data: bytes, name: str) -> Ed25519PrivateKey:
    """A private key in PEM (PKCS #8, not encrypted).

    Raises:
        SealKeyInvalid: it is something else. The message does not show it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SealKeyInvalid(
            f"{name} is no Ed25519 private key in PEM",
            hint="`kitestring backup keys new --out DIR` makes one; its file is signing.key",
            subject=name,
        )
    return key


def parse_public(data: bytes, name: str) -> Ed25519PublicKey:
    """A public key in PEM.

    Raises:
        SealKeyInvalid: it is something else; a private key is named as such.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY" in data:
        raise SealKeyInvalid(
            f"{name} is a private key: only public ones belong into `trusted`",
            hint="take the file signing.pub, and treat the private key as known to others if this "
            "file was shared",
            subject=name,
        )
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SealKeyInvalid(
            f"{name} is no Ed25519 public key in PEM",
            hint="`kitestring backup keys new --out DIR` makes a pair; its file is signing.pub",
            subject=name,
        )
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """`sha256:<hex>` of the key as DER."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def _parsed(signature: bytes, context: str) -> dict[str, Any]:
    try:
        found = json.loads(signature)
        if not isinstance(found, dict) or found["schema_version"] != SIGNATURE_VERSION:
            raise ValueError("it is of another version")
        if found["algorithm"] != ALGORITHM:
            raise ValueError("it is of another algorithm")
        if not isinstance(found["key"], str) or not isinstance(found["signature"], str):
            raise TypeError("it names no key")
        if found["context"] != context:
            raise ValueError(f"it is of `{found['context']}`")
    except (ValueError, KeyError, TypeError) as error:
        raise SignatureInvalid(f"its signature can't be read: {error}", subject=context) from None
    return found


def _decoded(text: str) -> bytes:
    """Strict base64: spare bits have to be zero, so that no change goes unseen."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical")
    return data
