"""What S3 and botocore say went wrong, as errors of ours."""

from __future__ import annotations

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's base of what keeps an endpoint from answering
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)

from kitestring.errors import ObjectMissing, StoreError, StoreFull, StoreUnreachable

MISSING = {"NoSuchKey", "404", "NotFound"}
EXISTS = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_FULL = {
    "XMinioStorageFull",
    "InsufficientStorage",
    "507",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
}
_KEYS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "403",
    "Forbidden",
    "ExpiredToken",
    "InvalidToken",
}
_REGION = {
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
}
_BUSY = {
    "500",
    "502",
    "503",
    "504",
    "InternalError",
    "InternalFailure",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServerBusy",
    "ServiceUnavailable",
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XMinioServerNotInitialized",
    "429",
}
TRANSLATED = (ClientError, S3UploadFailedError, BotoCoreError)


class AlreadyThere(StoreError):
    """A conditional write found an object."""


def translated(error: Exception, *, bucket: str, endpoint: str | None, key: str) -> StoreError:
    """One of `TRANSLATED` as an error that says what to do.

    Args:
        endpoint: None for AWS.
        key: what was asked for, below the bucket; may be empty.
    """
    url = f"s3://{bucket}"
    if isinstance(error, S3UploadFailedError):
        cause = error.__context__
        if not isinstance(cause, ClientError):
            return StoreError(str(error), subject=key)
        error = cause
    if isinstance(error, ClientError):
        return _answer(error, bucket, endpoint, key)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StoreUnreachable(
            f"there are no credentials for {url}",
            hint="name `access_key` and `secret_key` in the spec, or set AWS_PROFILE",
            subject=url,
        )
    if isinstance(error, ConnectionError | EndpointConnectionError | HTTPClientError):
        return StoreUnreachable(
            f"no object store answers at {endpoint or 'AWS'} for {url}",
            hint="check `endpoint_url` of the store in the spec, and that it runs",
            subject=url,
            transient=True,
        )
    broken_off = isinstance(error, IncompleteReadError)
    return StoreError(f"{url}/{key}: {error}", subject=key, transient=broken_off)


def _answer(error: ClientError, bucket: str, endpoint: str | None, key: str) -> StoreError:
    details = error.response.get("Error", {})
    code, text = str(details.get("Code", "")), str(details.get("Message", ""))
    url = f"s3://{bucket}"
    if code == "NoSuchBucket":
        return StoreUnreachable(
            f"there is no bucket `{bucket}` at {endpoint or 'AWS'}",
            hint="create it, or correct `bucket` of the store in the spec",
            subject=url,
        )
    if code in _BUSY:
        return StoreUnreachable(
            f"{url} is overloaded or out of order ({code}: {text})",
            hint="try again later; `backup.budget` of the spec limits what is asked of it",
            subject=url,
            transient=True,
        )
    if code in MISSING:
        return ObjectMissing(f"there is no object {url}/{key}", subject=key)
    if code in EXISTS:
        return AlreadyThere(f"{url}/{key} is there already", subject=key)
    if code in _FULL:
        return StoreFull(
            f"no space is left in {url} ({text or code})",
            hint="free some, or name a larger store in the spec; nothing was half-written",
            subject=url,
        )
    if code in _KEYS:
        return StoreUnreachable(
            f"{url} refuses the credentials ({code}: {text})",
            hint="check the secrets that `access_key` and `secret_key` of the spec name, and "
            "what the bucket's policy allows",
            subject=url,
        )
    if code in _REGION:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = details.get("Region") or headers.get("x-amz-bucket-region")
        return StoreUnreachable(
            f"the bucket `{bucket}` is in another region" + (f": {region}" if region else ""),
            hint="correct `region` of the store in the spec",
            subject=url,
        )
    if code == "RequestTimeTooSkewed":
        return StoreUnreachable(
            f"{url} refuses requests: this machine's clock and its own differ too much",
            hint="set this machine's clock by NTP",
            subject=url,
        )
    if code.lower().startswith("kms") or "KMS" in text:
        return StoreError(
            f"{url} can't encrypt with the key that the spec names ({code}: {text})",
            hint="check `encryption` and `kms_key_id` of the store in the spec, and that its "
            "credentials may use the key",
            subject=url,
        )
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return StoreError(f"{url}/{key}: {code}: {text}", subject=key, transient=status >= 500)
