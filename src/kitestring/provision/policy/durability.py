"""Rules about what must outlive mistakes: volumes and backups."""

from __future__ import annotations

from collections.abc import Iterator

from kitestring.provision.policy.resource import Resource
from kitestring.provision.policy.rule import Context, ResourceRule, StackRule
from kitestring.spec.models import Spec
from kitestring.spec.plain import mapping, text
from kitestring.spec.stores import LocalStore, S3Store

_COLLECTION = "Collection"  # last part of the type of a collection of the stack


def volumes_kept(resource: Resource, context: Context) -> Iterator[str]:
    deployment = context.spec.deployment if context.spec else None
    if deployment is not None and not deployment.keep_volumes:
        return  # the spec says so in so many words
    if resource.kind == "PersistentVolumeClaim" and not resource.protected:
        yield f"{resource.label} is not protected: `pulumi destroy` would remove the data"
    if resource.kind == "StatefulSet":
        retention = mapping(resource.spec.get("persistentVolumeClaimRetentionPolicy"))
        for event in ("whenDeleted", "whenScaled"):
            if retention.get(event) == "Delete":
                field = f"persistentVolumeClaimRetentionPolicy.{event}"
                yield f"{resource.label}: `{field}` is `Delete`"


def backup_declared(
    resources: tuple[Resource, ...], context: Context
) -> Iterator[tuple[Resource | None, str]]:
    """`kitestring backup create` holds every collection of the spec: a collection is declared
    where the spec names it and has a `backup` section."""
    spec = context.spec
    if spec is None:
        yield None, f"whether collections are backed up is not known: {context.problem}"
        return
    if spec.collections and spec.backup is None:
        names = ", ".join(f"`{c.name}`" for c in spec.collections)
        yield None, f"the spec has no `backup` section: {names} would not be backed up"
    for resource in resources:
        name = text(resource.props.get("collection")) or text(resource.props.get("name"))
        if _is_collection(resource) and name and spec.collection(name) is None:
            yield (
                resource,
                f"the collection `{name}` is not in the spec: no backup would hold it",
            )


def _is_collection(resource: Resource) -> bool:
    return not resource.kind and resource.type.rpartition(":")[2] == _COLLECTION


def backup_apart(
    _: tuple[Resource, ...], context: Context
) -> Iterator[tuple[Resource | None, str]]:
    """A backup in the bucket of the data goes when the bucket goes."""
    spec = context.spec
    if spec is None or spec.backup is None:
        return
    store = spec.backup.store
    if isinstance(store, S3Store) and isinstance(spec.storage, S3Store) and _same(store, spec):
        yield None, f"backups go to the bucket of the data, `{store.bucket}`"
    if isinstance(store, LocalStore) and spec.cluster.environment == "prod":
        yield None, f"backups of a production cluster go to a directory, `{store.path}`"


def _same(store: S3Store, spec: Spec) -> bool:
    data = spec.storage
    return isinstance(data, S3Store) and (store.bucket, store.endpoint_url) == (
        data.bucket,
        data.endpoint_url,
    )


RULES = (
    ResourceRule(
        "volumes-kept",
        "Volumes are protected, unless the spec says otherwise",
        volumes_kept,
        reads_spec=True,
    ),
    StackRule(
        "backup-declared",
        "A backup is declared for every collection",
        backup_declared,
        reads_spec=True,
    ),
    StackRule(
        "backup-apart",
        "Backups are kept apart from the data",
        backup_apart,
        level="advisory",
        reads_spec=True,
    ),
)
