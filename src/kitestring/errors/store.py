"""Object stores and the files in them."""

from __future__ import annotations

from kitestring.errors.base import KitestringError


class StoreError(KitestringError):
    """The object store answered with an error. `transient`: the same call may succeed later."""

    code = "store.error"

    def __init__(
        self, message: str, *, hint: str = "", subject: str = "", transient: bool = False
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.transient = transient


class StoreUnreachable(StoreError):
    """The object store does not answer, or the bucket is not there."""

    code = "store.unreachable"


class StoreFull(StoreError):
    """No space is left where objects are written."""

    code = "store.full"


class StoreUnfit(StoreError):
    """A bucket lacks what the spec says it has: versioning, object lock."""

    code = "store.unfit"


class ObjectMissing(StoreError):
    """An object that should be there is not."""

    code = "store.object-missing"


class SegmentUnreadable(KitestringError):
    """A segment file is not of a form that this reader knows; it names the file."""

    code = "segments.unreadable"
