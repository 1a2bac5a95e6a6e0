"""Carries out a plan. Every step looks at the server first, so that a second run does nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kitestring.clients.milvus.protocol import Milvus
from kitestring.enforce.plan import rebuild_reason, show_index
from kitestring.errors import EnforceError, MilvusError
from kitestring.model.action import Action
from kitestring.model.collection import CollectionInfo, Index
from kitestring.objects.groups import place, spread
from kitestring.spec.loaded import LoadedSpec
from kitestring.spec.models import CollectionSpec, IndexSpec
from kitestring.spec.schema import collection_schema, wanted_index


def apply(
    loaded: LoadedSpec,
    milvus: Milvus,
    actions: Iterable[Action],
    on_event: Callable[[Action], None] = lambda _: None,
) -> list[Action]:
    """Carries out the steps in their order and returns those that changed something.

    `on_event` is called before each step. The first failure ends it: what was done stays done,
    and the next run goes on from there.

    Raises:
        EnforceError: a step names what the spec does not have.
        MilvusError: the server refused a step; its subject is the action's.
    """
    done = []
    for action in actions:
        step = STEPS.get(action.kind)
        if step is None:
            raise EnforceError(f"no step is known for `{action.kind}`", subject=action.subject)
        _, name, *rest = action.subject.split("/", 2)
        collection = next((c for c in loaded.spec.collections if c.name == name), None)
        if collection is None:
            raise EnforceError(f"the spec has no collection `{name}`", subject=action.subject)
        on_event(action)
        if step(loaded, milvus, collection, rest[0].split("/", 1)[-1] if rest else ""):
            done.append(action)
    return done


def _create_collection(
    loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, _: str
) -> bool:
    if milvus.has_collection(collection.name):
        return False
    milvus.create_collection(
        collection.name,
        collection_schema(loaded.spec, collection),
        shards=collection.shards,
        properties=collection.properties or None,
        partitions=collection.partitions,
        consistency=collection.consistency or "Bounded",
    )
    return True


def _add_field(loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, part: str) -> bool:
    if milvus.describe(collection.name).schema.field(part) is not None:
        return False
    wanted = collection_schema(loaded.spec, collection).field(part)
    if wanted is None:
        raise EnforceError(
            f"the spec of `{collection.name}` has no field `{part}`", subject=collection.name
        )
    milvus.admin.add_field(collection.name, wanted)
    return True


def _create_index(
    loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, part: str
) -> bool:
    spec = _index_spec(collection, part)
    if _index_on(milvus, collection.name, spec.field) is not None:
        return False
    milvus.create_index(collection.name, wanted_index(spec))
    return True


def _rebuild_index(
    loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, part: str
) -> bool:
    """Release, drop, create, load. Loading does not wait for the index: until it is built, the
    collection answers by brute force."""
    spec = _index_spec(collection, part)
    info = milvus.describe(collection.name)
    state = next((i for i in info.indexes if i.index.field == spec.field), None)
    if state is not None and not rebuild_reason(spec, state):
        return False
    have = state.index if state else None
    if info.loaded:
        milvus.release(collection.name)
    if have is not None:
        milvus.drop_index(collection.name, have.name)
    try:
        milvus.create_index(collection.name, wanted_index(spec))
    except MilvusError as error:
        raise _put_back(milvus, collection, have, info, error) from error
    if info.loaded:  # as before: what the spec says of it is a step of its own
        milvus.load(collection.name, replicas=info.replicas, groups=info.resource_groups)
    return True


def _put_back(
    milvus: Milvus,
    collection: CollectionSpec,
    have: Index | None,
    info: CollectionInfo,
    why: MilvusError,
) -> MilvusError:
    """Restores the old index after the server refused the new one; the error to be raised."""
    if have is None:
        return why
    milvus.create_index(collection.name, have)
    if info.replicas:
        milvus.load(collection.name, replicas=info.replicas, groups=info.resource_groups)
    return type(why)(
        f"the server refused the index of `{collection.name}`: {why.message}; "
        f"the old one ({show_index(have)}) is back",
        hint="correct the index in the spec",
        subject=collection.name,
    )


def _load(loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, _: str) -> bool:
    if milvus.describe(collection.name).loaded:
        return False
    wanted = collection.load
    milvus.load(collection.name, replicas=wanted.replicas, groups=wanted.resource_groups)
    return True


def _release(loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, _: str) -> bool:
    if not milvus.describe(collection.name).loaded:
        return False
    milvus.release(collection.name)
    return True


def _set_replicas(loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, _: str) -> bool:
    info = milvus.describe(collection.name)
    wanted = collection.load.replicas
    if info.loaded and info.replicas == wanted:
        return False
    if info.loaded:
        milvus.release(collection.name)
    try:
        groups = collection.load.resource_groups or info.groups_for(wanted)
        milvus.load(collection.name, replicas=wanted, groups=groups)
    except MilvusError as error:
        if not info.loaded:
            raise
        milvus.load(collection.name, replicas=info.replicas, groups=info.resource_groups)
        raise type(error)(
            f"`{collection.name}` can't be loaded with {wanted} replicas: {error.message}; "
            f"it is loaded with {info.replicas} again",
            hint="each replica needs a query node of its own",
            subject=collection.name,
        ) from error
    return True


def _set_groups(loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, _: str) -> bool:
    info, groups = milvus.describe(collection.name), collection.load.resource_groups
    if not info.loaded or spread(groups, info.replicas) == sorted(info.resource_groups):
        return False
    place(milvus, info, groups)
    return True


def _alias(loaded: LoadedSpec, milvus: Milvus, collection: CollectionSpec, alias: str) -> bool:
    owner = milvus.alias_owner(alias)
    if owner == collection.name:
        return False
    if owner is None:
        milvus.create_alias(collection.name, alias)
        return True
    if not milvus.describe(collection.name).loaded:
        raise EnforceError(
            f"the alias `{alias}` stays with `{owner}`: `{collection.name}` is not loaded",
            hint="kitestring reconcile",
            subject=collection.name,
        )
    milvus.move_alias(collection.name, alias)
    return True


def _index_spec(collection: CollectionSpec, part: str) -> IndexSpec:
    found = next((i for i in collection.indexes if i.field == part), None)
    if found is None:
        raise EnforceError(
            f"the spec of `{collection.name}` has no index on `{part}`", subject=collection.name
        )
    return found


def _index_on(milvus: Milvus, name: str, field: str) -> Index | None:
    indexes = milvus.describe(name).indexes
    return next((i.index for i in indexes if i.index.field == field), None)


STEPS: dict[str, Callable[[LoadedSpec, Milvus, CollectionSpec, str], bool]] = {
    "create-collection": _create_collection,
    "add-field": _add_field,
    "create-index": _create_index,
    "rebuild-index": _rebuild_index,
    "load": _load,
    "release": _release,
    "set-replicas": _set_replicas,
    "set-groups": _set_groups,
    "create-alias": _alias,
    "move-alias": _alias,
}
