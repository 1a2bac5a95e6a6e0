"""Keys that must fit each other: names that refer, names that repeat, what needs what.

It works on the plain values of a file and not on the models, so that its findings come in one
list with those of single keys that are wrong. What is not of the expected form is passed over:
the models have said so already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kitestring.spec.crosscheck_access import check_access
from kitestring.spec.crosscheck_backup import check_backup
from kitestring.spec.crosscheck_collection import check_collection
from kitestring.spec.crosscheck_config import check_config
from kitestring.spec.crosscheck_deployment import check_deployment, deployed_version
from kitestring.spec.crosscheck_groups import check_groups
from kitestring.spec.crosscheck_isolation import check_isolation
from kitestring.spec.crosscheck_kubernetes import check_kubernetes
from kitestring.spec.crosscheck_metrics import check_metrics
from kitestring.spec.crosscheck_proofs import check_proofs
from kitestring.spec.crosscheck_schedule import check_schedule, check_window
from kitestring.spec.crosscheck_version import check_version
from kitestring.spec.loaded import KeyPath
from kitestring.spec.plain import items, mapping, number, text
from kitestring.spec.problems import Problem


def crosscheck(data: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems between keys. Positions are not filled in."""
    yield from _connection(
        mapping(data.get("connection")), "connection" in data, data.get("deployment") is not None
    )
    yield from _storage(data)
    yield from _models(data)
    yield from _names(data)
    dimensions = {
        label: number(model.get("dimension"))
        for model in map(mapping, items(data.get("models")))
        if (label := model_label(model))
    }
    for position, raw in enumerate(items(data.get("collections"))):
        if isinstance(raw, Mapping):
            yield from check_collection(("collections", position), raw, dimensions)
    yield from check_deployment(data)
    yield from check_kubernetes(data)
    yield from check_config(data)
    yield from check_version(data, deployed_version(data))
    yield from check_access(data)
    yield from check_groups(data)
    yield from check_backup(data)
    yield from check_schedule(data)
    yield from check_window(data)
    yield from check_proofs(data)
    yield from check_metrics(data)
    yield from check_isolation(data)


def model_label(model: Mapping[str, Any]) -> str:
    """`name@version`, or an empty text where one of them is missing."""
    name, version = text(model.get("name")), model.get("version")
    return f"{name}@{version}" if name and version is not None else ""


_WAYS = ("uri", "embedded", "kubernetes")


def _connection(connection: Mapping[str, Any], there: bool, deployed: bool) -> Iterator[Problem]:
    uri = text(connection.get("uri"))
    ways = [way for way in _WAYS if connection.get(way) is not None]
    if there and not ways:
        yield Problem(
            ("connection",),
            "name the server: `uri: http://HOST:19530`, `embedded: DIRECTORY` for one that "
            "`kitestring local up` starts, or `kubernetes: {}` for the one of `deployment`",
        )
    if len(ways) > 1:
        others = " and ".join(f"`{way}`" for way in ways[:-1])
        verb = "name other servers" if len(ways) > 2 else "names another server"
        yield Problem(("connection", ways[-1]), f"{others} {verb}: keep one of them")
    if connection.get("kubernetes") is not None and not deployed:
        yield Problem(
            ("connection", "kubernetes"),
            "a port-forward leads to the proxy of `deployment`, and the spec has none: "
            "add `deployment`, or name the server by `uri`",
        )
    if uri:
        yield from _address(("connection", "uri"), uri)
        yield from _no_password(("connection", "uri"), uri, "put it in `token`")
        if connection.get("tls") is not None and uri.startswith("http://"):
            yield Problem(
                ("connection", "tls"), "there is no TLS with `http://`: write `uri: https://…`"
            )


def _address(path: KeyPath, uri: str) -> Iterator[Problem]:
    """An address that begins as one, and whose host or port is none."""
    if not uri.startswith(("http://", "https://")):
        return  # the models say so
    try:
        parts = urlsplit(uri)
        bare = parts.netloc.rpartition("@")[2].endswith(":")
        wrong = not parts.hostname or parts.port == 0 or bare
    except ValueError:
        wrong = True
    if wrong:
        allowed = "http://HOST:PORT or https://HOST:PORT, with a port from 1 to 65535"
        yield Problem(path, "no host and port", uri, allowed)
    elif parts.query or parts.fragment:
        yield Problem(path, "an address ends before `?` and `#`: remove the rest", uri)


def _no_password(path: KeyPath, uri: str, where: str) -> Iterator[Problem]:
    try:
        has_user = "@" in urlsplit(uri).netloc
    except ValueError:
        return
    if has_user:
        yield Problem(path, f"secrets never stand in a spec: remove the user and password; {where}")


def _storage(data: Mapping[str, Any]) -> Iterator[Problem]:
    connection = mapping(data.get("connection"))
    storage = mapping(data.get("storage"))
    if (
        storage.get("type") == "embedded"
        and connection.get("embedded") is None
        and (connection.get("uri") is not None or connection.get("kubernetes") is not None)
    ):
        yield Problem(
            ("storage", "type"),
            "`embedded` is the data directory of an embedded server, and `connection` names none",
            "embedded",
            "local, s3",
        )
    backup = mapping(data.get("backup"))
    stores: tuple[tuple[KeyPath, Mapping[str, Any]], ...] = (
        (("storage",), storage),
        (("backup", "store"), mapping(backup.get("store"))),
    )
    for path, store in stores:
        keys = [k for k in ("access_key", "secret_key") if store.get(k) is not None]
        if len(keys) == 1:
            other = "secret_key" if keys == ["access_key"] else "access_key"
            yield Problem(
                (*path, keys[0]),
                f"`access_key` and `secret_key` go together: `{other}` is missing",
            )
        yield from _address((*path, "endpoint_url"), text(store.get("endpoint_url")))
        yield from _no_password(
            (*path, "endpoint_url"),
            text(store.get("endpoint_url")),
            "put them in `access_key` and `secret_key`",
        )
    if backup and data.get("storage") is None and backup.get("method", "physical") == "physical":
        yield Problem(
            ("backup",),
            "physical backups copy Milvus's segment files: `storage` must say where they are",
        )


def _models(data: Mapping[str, Any]) -> Iterator[Problem]:
    for position, model in enumerate(map(mapping, items(data.get("models")))):
        options = mapping(model.get("options"))
        low, high = number(options.get("ngram_min", 1)), number(options.get("ngram_max", 1))
        if low is not None and high is not None and low > high:
            key = "ngram_min" if "ngram_min" in options else "ngram_max"
            yield Problem(
                ("models", position, "options", key),
                f"`ngram_min` ({low}) is greater than `ngram_max` ({high})",
            )


def _names(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Models, collections and aliases that are there twice; an alias that is a collection."""
    models: dict[str, KeyPath] = {}
    for position, model in enumerate(map(mapping, items(data.get("models")))):
        yield from _again(models, model_label(model), ("models", position, "name"), "the model")
    collections: dict[str, KeyPath] = {}
    for position, raw in enumerate(map(mapping, items(data.get("collections")))):
        path: KeyPath = ("collections", position, "name")
        yield from _again(collections, text(raw.get("name")), path, "the collection")
    aliases: dict[str, KeyPath] = {}
    for path, alias in _aliases(data):
        yield from _again(aliases, alias, path, "the alias")
        if alias in collections:
            yield Problem(
                path, f"`{alias}` is the name of a collection: an alias needs a name of its own"
            )


def _aliases(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for position, raw in enumerate(map(mapping, items(data.get("collections")))):
        for number_, alias in enumerate(items(raw.get("aliases"))):
            if text(alias):
                yield ("collections", position, "aliases", number_), alias


def _again(seen: dict[str, KeyPath], name: str, path: KeyPath, what: str) -> Iterable[Problem]:
    if name and name in seen:
        return [Problem(path, f"{what} `{name}` is there more than once")]
    seen[name] = path
    return []
