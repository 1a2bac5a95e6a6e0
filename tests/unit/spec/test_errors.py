"""Every kind of error of a single key, by the text that a user reads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kitestring.spec.models import CollectionSpec

Errors = Callable[..., list[str]]
FIELDS = (
    "id, embedding, tenant_id, doc_id, chunk_index, text, content_hash, embedding_model, chunker, "
    "last_embedded_at"
)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "cluster: {name: test}",
            "cluster: {name: test, enviroment: dev}",
            ["F:2:23: cluster.enviroment: unknown key; allowed: name, environment; did you mean "
             "`environment`?"],
        ),
        (
            "state: ./state\n",
            "",
            ["F:1:1: state: missing: every spec needs it"],
        ),
        (
            "{provider: hashing, name: words",
            "{provider: hashing",
            ["F:6:5: models[0].name: missing: `models[0]` needs it; allowed: letters, digits and "
             "`.`, `_`, `/`, `-`",
             'F:9:5: collections[0].model: no such model in `models` (got "words@1")'],
        ),
        (
            "provider: hashing",
            "provider: hashng",
            ['F:6:6: models[0].provider: not one of the values that go here (got "hashng"); '
             "allowed: hashing, openai, sentence-transformers; did you mean `hashing`?"],
        ),
        (
            "provider: hashing, ",
            "",
            ["F:6:5: models[0].provider: missing: `models[0]` needs it; allowed: hashing, openai, "
             "sentence-transformers"],
        ),
        (
            "dimension: 64",
            "dimension: 64, options: {ngram_max: 0, analyser: word}",
            ["F:6:77: models[0].options.ngram_max: out of range (got 0); allowed: 1 to 10",
             "F:6:91: models[0].options.analyser: unknown key; allowed: analyzer, ngram_min, "
             "ngram_max, stop_words; did you mean `analyzer`?"],
        ),
        (
            "type: HNSW",
            "type: HNSV",
            ['F:11:28: collections[0].indexes[0].type: not one of the values that go here (got '
             '"HNSV"); allowed: FLAT, IVF_FLAT, IVF_SQ8, IVF_PQ, IVF_RABITQ, HNSW, HNSW_SQ, '
             "HNSW_PQ, HNSW_PRQ, SCANN, DISKANN, GPU_BRUTE_FORCE, GPU_CAGRA, GPU_IVF_FLAT, "
             "GPU_IVF_PQ, AUTOINDEX, BIN_FLAT, BIN_IVF_FLAT, SPARSE_INVERTED_INDEX, SPARSE_WAND, "
             "INVERTED, NGRAM, BITMAP, STL_SORT, Trie; did you mean `HNSW`?"],
        ),
        (
            "version: 1\n",
            "version: 3\n",
            ["F:1:1: version: this version of kitestring reads specs of version 1 (got 3); "
             "allowed: 1"],
        ),
        (
            'version: "1"',
            "version: 1",
            ["F:6:38: models[0].version: must be text: put it in quotes (got 1); allowed: "
             "letters, digits and `.`, `_`, `-`"],
        ),
        (
            "dimension: 64",
            'dimension: "64"',
            ['F:6:52: models[0].dimension: must be a whole number (got "64"); allowed: 2 to '
             "32768"],
        ),
        (
            "dimension: 64",
            "dimension: 64.5",
            ["F:6:52: models[0].dimension: must be a whole number (got 64.5); allowed: 2 to "
             "32768"],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    shards: 99\n",
            ["F:10:5: collections[0].shards: out of range (got 99); allowed: 1 to 16"],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    load: {loaded: yes, replicas: true}\n",
            ['F:10:12: collections[0].load.loaded: must be true or false (got "yes")',
             "F:10:25: collections[0].load.replicas: must be a whole number (got true); allowed: "
             "1 to 64"],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    aliases: newest\n",
            ['F:10:5: collections[0].aliases: must be a list (got "newest")'],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    search: {params: {ef: [1]}, confidence: .nan}\n",
            ["F:10:23: collections[0].search.params.ef: must be a number, text, or true or "
             "false (got a list)",
             "F:10:33: collections[0].search.confidence: out of range (got NaN)"],
        ),
        (
            "  - name: docs",
            "  - name: 1st docs",
            ['F:8:5: collections[0].name: not of the form that goes here (got "1st docs"); '
             "allowed: letters, digits and `_`, not first a digit, at most 255 characters"],
        ),
        (
            "  - name: docs\n    model: words@1\n",
            "  - docs\n  - name: docs\n    model: words@1\n",
            ["F:8:5: collections[0]: must be a mapping of keys to values (got \"docs\"); allowed: "
             f"{', '.join(CollectionSpec.model_fields)}"],
        ),
        (
            "cluster: {name: test}",
            "cluster:",
            ["F:2:1: cluster: must be a mapping of keys to values (got nothing); allowed: name, "
             "environment"],
        ),
        (
            "state: ./state\n",
            "state: ./state\nobjectives: {rpo: 24, rto: 1.5, drill_every: 0s}\n",
            ["F:5:14: objectives.rpo: not a duration (got 24); allowed: a number and a unit, such "
             "as 90s, 15m, 24h or 7d",
             "F:5:23: objectives.rto: not a duration (got 1.5); allowed: a number and a unit, such "
             "as 90s, 15m, 24h or 7d",
             'F:5:33: objectives.drill_every: must be longer than 0s (got "0s")'],
        ),
        (
            "state: ./state\n",
            "state: ./state\nday2: {backup: {at: 25:00}}\n",
            ['F:5:17: day2.backup.at: not of the form that goes here (got "25:00"); allowed: hours '
             "and minutes of a day, such as 01:30"],
        ),
        (
            "state: ./state\n",
            "state: ./state\nstorage: {type: embeded}\n",
            ['F:5:11: storage.type: not one of the values that go here (got "embeded"); allowed: '
             "local, s3, embedded; did you mean `embedded`?"],
        ),
        (
            "state: ./state\n",
            "state: ./state\nstorage: {type: s3, bukket: b}\n",
            ["F:5:1: storage.bucket: missing: `storage` needs it; allowed: 3 to 63 letters, digits "
             "and `.`, `_`, `-` within",
             "F:5:21: storage.bukket: unknown key; allowed: type, bucket, prefix, endpoint_url, "
             "region, access_key, secret_key, encryption, kms_key_id, "
             "versioning, object_lock; did you mean `bucket`?"],
        ),
        (
            "connection: {embedded: ./milvus}",
            "connection: {url: http://h:1}",
            ["F:3:1: connection: name the server: `uri: http://HOST:19530`, `embedded: "
             "DIRECTORY` for one that `kitestring local up` starts, or `kubernetes: {}` for the "
             "one of `deployment`",
             "F:3:14: connection.url: unknown key; allowed: uri, embedded, kubernetes, "
             "database, token, tls, timeout; did you mean `uri`?"],
        ),
    ],
)  # fmt: skip
def test_literal_text(errors: Errors, good: str, old: str, new: str, expected: list[str]) -> None:
    assert old in good
    assert errors(good.replace(old, new, 1)) == expected


@pytest.mark.parametrize(
    "connection",
    [
        "{uri: 'http://h:1', token: 'hunter2'}",
        "{uri: 'http://h:1', token: {value: hunter2}}",
        "{uri: 'http://h:1', token: {env: 'root:hunter2'}}",
        "{uri: 'http://h:1', token: [hunter2]}",
        "{uri: 'http://h:1', password: hunter2}",
        "{uri: 'http://root:hunter2@h:1'}",
        "{uri: 'root:hunter2@h:1'}",
        "{uri: 'http://h:1', tls: {key: hunter2}}",
    ],
)
def test_a_secret_is_never_echoed(errors: Errors, good: str, connection: str) -> None:
    found = errors(good.replace("{embedded: ./milvus}", connection))
    assert found
    assert not any("hunter2" in text for text in found)


def test_a_literal_secret_says_how_to_name_one(errors: Errors, good: str) -> None:
    text = good.replace("{embedded: ./milvus}", "{uri: 'http://h:1', token: 'root:Milvus'}")
    assert errors(text) == [
        "F:3:33: connection.token: secrets never stand in a spec; name where the secret is found, "
        "as `{env: VARIABLE}` or `{file: PATH}`"
    ]


def test_a_secret_from_two_places(errors: Errors, good: str) -> None:
    text = good.replace("{embedded: ./milvus}", "{uri: 'http://h:1', token: {env: A, file: b}}")
    assert errors(text) == [
        "F:3:33: connection.token: name either `env` (a variable) or `file` (a path), and not both"
    ]


def test_ten_errors_are_reported_at_once(errors: Errors) -> None:
    text = """\
version: 2
cluster: {name: Prod}
connection: {uri: ftp://h, timeot: 10s}
state: 7
models:
  - {provider: hashing, name: words, version: "1", dimension: 1}
collections:
  - name: docs
    model: word@1
    shards: 0
    indexes:
      - {field: embeding, type: HNSW, metric: COSIN}
    aliases: [docs]
"""
    found = errors(text)
    assert [line.split(": ")[:2] for line in found] == [
        ["F:1:1", "version"],
        ["F:2:11", "cluster.name"],
        ["F:3:14", "connection.uri"],
        ["F:3:28", "connection.timeot"],
        ["F:4:1", "state"],
        ["F:6:52", "models[0].dimension"],
        ["F:8:5", "collections[0].name"],  # no index on its vector
        ["F:9:5", "collections[0].model"],
        ["F:10:5", "collections[0].shards"],
        ["F:12:10", "collections[0].indexes[0].field"],
        ["F:12:39", "collections[0].indexes[0].metric"],
        ["F:13:15", "collections[0].aliases[0]"],
    ]


def test_no_word_of_the_validation_library_is_shown(errors: Errors, good: str) -> None:
    text = good.replace("version: 1\n", "version: [1]\nmodells: 3\n").replace("64}", "{a: b}}")
    for line in errors(text):
        assert "pydantic" not in line
        assert "Input should" not in line
        assert "http" not in line
