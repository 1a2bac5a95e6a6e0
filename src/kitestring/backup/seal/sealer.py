"""Who seals and opens, by a spec's `backup.encryption`.

Sealed objects stand apart from clear ones and from those sealed to others, below
`pool/<cluster>/sealed-<how>-<12 hex>/`: `how` is `age` and the number of recipients, or `kms`; the
12 digits name the recipients or the key. So no run takes over an object that its own recipients
can't open, and a listing tells the size of what is sealed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from kitestring.backup.seal import age, kms, require_cryptography
from kitestring.backup.seal.stream import Aead, broken
from kitestring.clients.kms import KeyService, Kms
from kitestring.clients.secrets import read_secret
from kitestring.errors import SealKeyMissing, WrongKey
from kitestring.spec.backup import AgeEncryption, KmsEncryption
from kitestring.spec.loaded import LoadedSpec

_PLACE = re.compile(r"(pool/[^/]+/sealed-(age([1-9]\d*)|kms)-[0-9a-f]{12})/.+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed object stands, by its key."""

    pool: str  # pool/<cluster>/sealed-…
    how: str  # age or kms
    head: int  # bytes before the first chunk


def place_of(key: str) -> Place | None:
    """None for the key of an object that is not sealed."""
    match = _PLACE.fullmatch(key)
    if match is None:
        return None
    recipients = match.group(3)
    if recipients:
        return Place(match.group(1), "age", age.head_size(int(recipients)))
    return Place(match.group(1), "kms", kms.HEAD)


class Sealer(Protocol):
    """One way to seal, with the keys of this host."""

    @property
    def folder(self) -> str:
        """`sealed-…`, below the pool of a cluster."""
        ...

    @property
    def can_open(self) -> bool:
        """Whether this host has a key that opens what is sealed."""
        ...

    def prepare(self, pool: str) -> None:
        """Finds out now what would keep objects from being sealed. Raises: SealError."""
        ...

    def seal(self, place: Place, key: str) -> tuple[bytes, Aead, bytes | None]:
        """Head, cipher and associated data of a new object."""
        ...

    def open(self, place: Place, head: bytes, key: str) -> tuple[Aead, bytes | None]:
        """Cipher and associated data of an object.

        Raises: SealBroken, SealKeyMissing, WrongKey, KeyServiceFailed.
        """
        ...


class AgeSealer:
    """age recipients; identities where the host has them."""

    def __init__(
        self, recipients: Sequence[str], identities: Callable[[], Sequence[age.Identity]] | None
    ) -> None:
        """`identities` is called when one is first needed; None: this host can only seal."""
        self._texts = sorted(set(recipients))
        self._read = identities

    @property
    def folder(self) -> str:
        return f"sealed-age{len(self._texts)}-{_digest('age', *self._texts)}"

    @property
    def can_open(self) -> bool:
        return self._read is not None

    @cached_property
    def _recipients(self) -> tuple[bytes, ...]:
        return tuple(age.parse_recipient(text) for text in self._texts)

    @cached_property
    def _identities(self) -> Sequence[age.Identity]:
        if self._read is None:
            raise SealKeyMissing(
                "the backup is sealed, and the spec names no identity that opens it",
                hint="on a host that reads backups, name it at `backup.encryption.identity`",
            )
        return self._read()

    def prepare(self, pool: str) -> None:
        _ = self._recipients
        if self.can_open and not self._ours():
            raise WrongKey(
                "none of the identities of the spec is one of its recipients'",
                hint="correct `backup.encryption`: what is sealed now could not be opened here; "
                "or omit `identity` on a host that only makes backups",
            )

    def seal(self, place: Place, key: str) -> tuple[bytes, Aead, bytes | None]:
        head, cipher = age.make_head(self._recipients)
        return head, cipher, None

    def open(self, place: Place, head: bytes, key: str) -> tuple[Aead, bytes | None]:
        if place.how != "age":
            raise _other_way(key, place)
        identities = self._identities
        try:
            return age.open_head(head, identities, key), None
        except WrongKey:
            if place.pool.endswith(f"/{self.folder}") and self._ours():
                raise broken(key) from None  # the key is right, so the head is not
            raise

    def _ours(self) -> bool:
        return any(identity.public in self._recipients for identity in self._identities)


class KmsSealer:
    """A key of a key service."""

    def __init__(self, key_id: str, service: Callable[[], KeyService]) -> None:
        self._key_id, self._service = key_id, service

    @property
    def folder(self) -> str:
        return f"sealed-kms-{_digest('kms', self._key_id)}"

    @property
    def can_open(self) -> bool:
        return True

    @cached_property
    def _keys(self) -> kms.DataKeys:
        return kms.DataKeys(self._service())

    def prepare(self, pool: str) -> None:
        self._keys.new(pool)

    def seal(self, place: Place, key: str) -> tuple[bytes, Aead, bytes | None]:
        return kms.make_head(self._keys, place.pool, key)

    def open(self, place: Place, head: bytes, key: str) -> tuple[Aead, bytes | None]:
        if place.how != "kms":
            raise _other_way(key, place)
        return kms.open_head(head, self._keys, place.pool, key)


def sealer_of(loaded: LoadedSpec) -> Sealer | None:
    """Who seals by a spec; None where it says nothing of encryption. Keys are read later."""
    encryption = loaded.spec.backup.encryption if loaded.spec.backup else None
    if encryption is not None:
        require_cryptography()
    if isinstance(encryption, AgeEncryption):
        reference = encryption.identity
        if reference is None:
            return AgeSealer(encryption.recipients, None)
        name = reference.file or f"${reference.env}"
        return AgeSealer(
            encryption.recipients,
            lambda: age.parse_identities(read_secret(loaded, reference), name),
        )
    if isinstance(encryption, KmsEncryption):
        found = encryption
        return KmsSealer(
            found.key_id,
            lambda: Kms(found.key_id, region=found.region, endpoint_url=found.endpoint_url),
        )
    return None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _other_way(key: str, place: Place) -> SealKeyMissing:
    return SealKeyMissing(
        f"the object {key} is sealed by {place.how}, and the spec has no key for that",
        hint=f"read it with a spec whose `backup.encryption` is of type {place.how}",
        subject=key,
    )
