"""The folder of another tool's backup: a directory, or a prefix of a bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from kitestring.clients.store.connect import open_store
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import ImportRefused, UsageError
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.stores import S3Store


def open_folder(loaded: LoadedSpec, place: str, *, endpoint_url: str | None = None) -> ObjectStore:
    """The store of a path or of `s3://BUCKET/PREFIX`.

    A bucket that the spec names (for its backups or as Milvus's storage) is reached as the spec
    says; another one with the keys of the environment.

    Raises:
        ImportRefused: there is no such directory.
        UsageError: the place is neither.
        SecretMissing.
    """
    if "://" not in place:
        folder = Path(place).expanduser().absolute()
        if not folder.is_dir():
            raise ImportRefused(
                f"{folder} is not a directory",
                hint="name the folder of one backup, which holds `meta/` and `binlogs/`",
                subject=str(folder),
            )
        return LocalStore(folder, create=False)
    parts = urlsplit(place)
    if parts.scheme != "s3" or not parts.netloc:
        raise UsageError(f"`{place}` is neither a path nor s3://BUCKET/PREFIX")
    prefix = parts.path.strip("/")
    wanted = S3Store(type="s3", bucket=parts.netloc, prefix=prefix, endpoint_url=endpoint_url)
    if endpoint_url is None:
        named = _named(loaded, parts.netloc)
        if named is not None:
            # what goes for writing there is of no concern for reading
            wanted = named.model_copy(update={"prefix": prefix})
    return open_store(loaded, wanted)


def _named(loaded: LoadedSpec, bucket: str) -> S3Store | None:
    spec = loaded.spec
    stores = (spec.backup.store if spec.backup else None, spec.storage)
    return next((s for s in stores if isinstance(s, S3Store) and s.bucket == bucket), None)
