"""From a spec's stores to stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitestring.clients.secrets import read_secret
from kitestring.clients.stack_state import read_stack_state
from kitestring.clients.store.bundled import is_bundled, open_bundled
from kitestring.clients.store.local import LocalStore
from kitestring.clients.store.protocol import ObjectStore
from kitestring.errors import LocalNotRunning, StoreUnreachable
from kitestring.spec import stores
from kitestring.spec.loaded import LoadedSpec

if TYPE_CHECKING:
    from kitestring.clients.store.s3 import S3Store as S3Bucket


def open_store(
    loaded: LoadedSpec, store: stores.LocalStore | stores.S3Store, *, checked: bool = False
) -> ObjectStore:
    """The store of a spec; below the prefix that the spec names.

    Args:
        checked: what is read from it is compared with checksums of our own.

    Raises:
        SecretMissing: a secret that the spec names is not there.
    """
    if isinstance(store, stores.LocalStore):
        return LocalStore(loaded.resolve(store.path))
    return _s3(loaded, store, store.prefix, checked=checked)


def open_segment_store(loaded: LoadedSpec) -> tuple[ObjectStore, str]:
    """Where the cluster keeps its segments: the store, and the root path as a key prefix.

    Raises:
        StoreUnreachable: the spec names no storage, or the directory is not there.
        LocalNotRunning: the embedded server, which says where its data are, does not run.
        SecretMissing, KubernetesError: a deployment's own MinIO can't be reached.
    """
    storage = loaded.spec.storage
    if storage is None:
        raise StoreUnreachable(
            f"{loaded.file} does not say where Milvus keeps its segments",
            hint="add `storage` to the spec: the bucket and root path of the Milvus server",
        )
    if isinstance(storage, stores.S3Store):
        bundled = is_bundled(loaded, storage)
        store = open_bundled(loaded, storage) if bundled else _s3(loaded, storage, "")
        return store, storage.prefix.strip("/")
    if isinstance(storage, stores.LocalStore):
        return LocalStore(loaded.resolve(storage.path), create=False), ""
    if loaded.spec.connection.embedded is None:
        raise StoreUnreachable(
            "`storage: embedded` needs a connection to an embedded server",
            hint="name the store of the server at `connection.uri`: local or s3",
        )
    data = loaded.resolve(loaded.spec.connection.embedded)
    state = read_stack_state(data)
    if state is None:
        raise LocalNotRunning(
            f"no embedded Milvus runs for {data}",
            hint=f"kitestring local up --data {data}",
            subject=str(data),
        )
    return LocalStore(loaded.resolve(state.root_path), create=False), ""


def check_store(loaded: LoadedSpec, store: stores.LocalStore | stores.S3Store) -> None:
    """Makes sure that a bucket is what the spec says of it; a directory needs no check.

    Raises:
        StoreUnfit: it lacks versioning or object lock.
        StoreUnreachable, SecretMissing: it can't be asked.
    """
    if isinstance(store, stores.S3Store):
        from kitestring.clients.store.s3_checks import check_bucket

        check_bucket(_s3(loaded, store, store.prefix), store)


def _s3(
    loaded: LoadedSpec, store: stores.S3Store, prefix: str, *, checked: bool = False
) -> S3Bucket:
    from kitestring.clients.store.s3 import S3Store  # boto3 takes long to import

    return S3Store(
        store.bucket,
        prefix=prefix,
        endpoint_url=store.endpoint_url,
        region=store.region,
        access_key=read_secret(loaded, store.access_key),
        secret_key=read_secret(loaded, store.secret_key),
        encryption=store.encryption,
        kms_key_id=store.kms_key_id,
        checked=checked,
    )
