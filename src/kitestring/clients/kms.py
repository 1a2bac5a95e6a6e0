"""A key service (AWS KMS, or what speaks its protocol): makes data keys and opens wrapped ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from kitestring.errors import KeyServiceFailed, SealBroken, SealKeyMissing, WrongKey

_REFUSED = {"AccessDeniedException", "DisabledException", "KMSInvalidStateException"}


class KeyService(Protocol):
    """What sealing asks of a key service. `context` has to be the same for both."""

    def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A new data key of 32 bytes: in clear, and wrapped."""
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The data key in clear.

        Raises: WrongKey, SealBroken, KeyServiceFailed.
        """
        ...


class Kms:
    """One key of AWS KMS, by boto3's default chain of credentials.

    Args:
        key_id: id, alias or ARN of the key that wraps new data keys.
        endpoint_url: None for AWS.
    """

    def __init__(
        self, key_id: str, *, region: str | None = None, endpoint_url: str | None = None
    ) -> None:
        import boto3
        from botocore.config import Config

        self.key_id = key_id
        with self._translated():
            self._client: Any = boto3.session.Session().client(
                "kms",
                region_name=region or ("us-east-1" if endpoint_url else None),
                endpoint_url=endpoint_url,
                config=Config(
                    connect_timeout=10,
                    read_timeout=20,
                    retries={"max_attempts": 4, "mode": "standard"},
                ),
            )

    def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        with self._translated():
            made = self._client.generate_data_key(
                KeyId=self.key_id, KeySpec="AES_256", EncryptionContext=dict(context)
            )
        return made["Plaintext"], made["CiphertextBlob"]

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        # without a key id: a data key names the key that has wrapped it, also after a change
        with self._translated():
            found = self._client.decrypt(CiphertextBlob=wrapped, EncryptionContext=dict(context))
        data: bytes = found["Plaintext"]
        return data

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            NoRegionError,
        )

        try:
            yield
        except ClientError as error:
            raise self._refused(error) from error
        except NoCredentialsError as error:
            raise SealKeyMissing(
                f"there are no credentials for the key service of `{self.key_id}`",
                hint="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                subject=self.key_id,
            ) from error
        except NoRegionError as error:
            raise KeyServiceFailed(
                f"the region of the key `{self.key_id}` is not known",
                hint="write `backup.encryption.region` in the spec, or set AWS_REGION",
                subject=self.key_id,
            ) from error
        except BotoCoreError as error:
            raise KeyServiceFailed(
                f"the key service of `{self.key_id}` does not answer: {error}",
                hint="check `backup.encryption` in the spec: region and endpoint_url",
                subject=self.key_id,
            ) from error

    def _refused(self, error: Any) -> KeyServiceFailed | WrongKey | SealBroken:
        details = error.response.get("Error", {})
        code, text = str(details.get("Code", "")), str(details.get("Message", ""))
        if code == "InvalidCiphertextException":
            return SealBroken("the wrapped data key was changed, or stands in another's place")
        if code in ("IncorrectKeyException", "InvalidKeyUsageException"):
            return WrongKey(
                f"the key `{self.key_id}` does not open what was sealed by another",
                subject=self.key_id,
            )
        return KeyServiceFailed(
            f"the key service refuses `{self.key_id}` ({code}: {text})",
            hint="the identity that runs this needs kms:GenerateDataKey to make backups and "
            "kms:Decrypt to read them"
            if code in _REFUSED
            else "check `backup.encryption.key_id` in the spec",
            subject=self.key_id,
        )
