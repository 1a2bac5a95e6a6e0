"""Whether a bucket is what the spec says: it is there, keeps versions, has object lock."""

from __future__ import annotations

from kitestring.clients.store.s3 import S3Store
from kitestring.errors import StoreUnfit
from kitestring.spec import stores


def check_bucket(store: S3Store, wanted: stores.S3Store) -> None:
    """Asks the bucket for what the spec says it has.

    Raises:
        StoreUnfit: it lacks versioning or object lock.
        StoreUnreachable: it is not there, is elsewhere, or the credentials may not ask.
    """
    store.check()
    lacking = []
    if wanted.object_lock and store.object_lock() is None:
        lacking.append("object lock")
    if wanted.versioning and not store.versioning():
        lacking.append("versioning")
    if not lacking:
        return
    hint = (
        "a bucket gets object lock when it is made: make another one with it"
        if "object lock" in lacking
        else "switch versioning on, such as by `aws s3api put-bucket-versioning`"
    )
    raise StoreUnfit(
        f"the spec says that the bucket `{wanted.bucket}` has {' and '.join(lacking)}, but it "
        "does not",
        hint=f"{hint}; or take that out of the spec",
        subject=f"s3://{wanted.bucket}",
    )
