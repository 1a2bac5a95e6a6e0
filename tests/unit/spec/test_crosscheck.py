"""Keys that must fit each other: each error with its line and its text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kitestring.spec.load import load

Errors = Callable[..., list[str]]
NAMES = (
    "id, embedding, tenant_id, doc_id, chunk_index, text, content_hash, embedding_model, chunker, "
    "last_embedded_at"
)
BROWNFIELD = """\
version: 1
cluster: {name: test}
connection: {uri: 'http://h:1'}
state: ./state
models:
  - {provider: hashing, name: words, version: "1", dimension: 64}
collections:
  - name: old
    fields: {id: pk, vector: emb, tenant_id: none, doc_id: none, chunk_index: none, text: none,
      content_hash: sha, embedding_model: none, chunker: none, last_embedded_at: none}
    columns:
      - {name: pk, type: INT64, primary: true, auto_id: true}
      - {name: sha, type: VARCHAR, max_length: 64}
      - {name: emb, type: FLOAT_VECTOR, dim: 64}
    indexes:
      - {field: emb, type: IVF_FLAT, metric: L2}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "model: words@1",
            "model: word@1",
            ['F:9:5: collections[0].model: no such model in `models` (got "word@1"); allowed: '
             "words@1; did you mean `words@1`?"],
        ),
        (
            "    model: words@1\n",
            "",
            ["F:8:5: collections[0].model: missing: without `columns`, the model gives the "
             "dimension of the vectors; allowed: words@1"],
        ),
        (
            "field: embedding",
            "field: embeding",
            ["F:8:5: collections[0].name: the vector field `embedding` needs an index in "
             "`indexes`: Milvus can't load the collection without",
             'F:11:10: collections[0].indexes[0].field: the collection has no such field (got '
             f'"embeding"); allowed: {NAMES}; did you mean `embedding`?'],
        ),
        (
            ", metric: COSINE",
            "",
            ["F:11:9: collections[0].indexes[0].metric: missing: an index on a vector needs it; "
             "allowed: COSINE, L2, IP"],
        ),
        (
            "metric: COSINE",
            "metric: JACCARD",
            ["F:11:40: collections[0].indexes[0].metric: not a metric of FLOAT_VECTOR (got "
             '"JACCARD"); allowed: COSINE, L2, IP'],
        ),
        (
            "type: HNSW",
            "type: BIN_FLAT",
            ["F:11:28: collections[0].indexes[0].type: the field `embedding` of type FLOAT_VECTOR "
             'can\'t have this index (got "BIN_FLAT")'],
        ),
        (
            "metric: COSINE}\n",
            "metric: COSINE}\n      - {field: doc_id, type: INVERTED, metric: L2}\n"
            "      - {field: doc_id, type: Trie}\n",
            ['F:12:41: collections[0].indexes[1].metric: `doc_id` is no vector: remove it (got '
             '"L2")',
             "F:13:10: collections[0].indexes[2].field: `doc_id` has an index already: Milvus "
             "takes one"],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    chunking: {strategy: fixed, size: 100, overlap: 100}\n",
            ["F:10:44: collections[0].chunking.overlap: must be smaller than `size` (got 100); "
             "allowed: 0 to 99"],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    aliases: [docs, now, now]\n",
            ["F:10:15: collections[0].aliases[0]: `docs` is the name of a collection: an alias "
             "needs a name of its own",
             "F:10:26: collections[0].aliases[2]: the alias `now` is there more than once"],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    fields: {doc_id: source, text: source}\n",
            ['F:10:30: collections[0].fields.text: `source` is the field of `doc_id` already (got '
             '"source")'],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    fields: {tenant_id: none}\n    tenancy: partition-key\n"
            "    partitions: [a]\n",
            ["F:11:5: collections[0].tenancy: `partition-key` needs a field that says whose a row "
             'is (got "partition-key")',
             "F:12:5: collections[0].partitions: Milvus names the partitions of a partition key "
             "itself: remove it"],
        ),
        (
            "    model: words@1\n",
            "    model: words@1\n    partitions: [_default, a, a]\n",
            ["F:10:18: collections[0].partitions[0]: `_default` is always there: remove it",
             "F:10:31: collections[0].partitions[2]: the partition `a` is there more than once"],
        ),
        (
            "collections:\n",
            '  - {provider: hashing, name: words, version: "1", dimension: 8}\ncollections:\n',
            ["F:7:25: models[1].name: the model `words@1` is there more than once"],
        ),
        (
            "metric: COSINE}\n",
            "metric: COSINE}\n  - name: docs\n    model: words@1\n    load: {loaded: false}\n",
            ["F:12:5: collections[1].name: the collection `docs` is there more than once"],
        ),
        (
            "{embedded: ./milvus}",
            "{embedded: ./milvus, uri: 'http://h:1'}",
            ["F:3:14: connection.embedded: `uri` names another server: keep one of them"],
        ),
        (
            "{embedded: ./milvus}",
            "{embedded: ./milvus, uri: 'http://h:1', kubernetes: {}}",
            ["F:3:53: connection.kubernetes: `uri` and `embedded` name other servers: keep one of "
             "them",
             "F:3:53: connection.kubernetes: a port-forward leads to the proxy of `deployment`, "
             "and the spec has none: add `deployment`, or name the server by `uri`"],
        ),
        (
            "{embedded: ./milvus}\n",
            "{uri: 'http://h:1', tls: {ca_file: ca.pem}}\nstorage: {type: embedded}\n",
            ["F:3:33: connection.tls: there is no TLS with `http://`: write `uri: https://…`",
             "F:4:11: storage.type: `embedded` is the data directory of an embedded server, and "
             '`connection` names none (got "embedded"); allowed: local, s3'],
        ),
        (
            "{embedded: ./milvus}",
            "{uri: 'https://root:pw@h:1'}",
            ["F:3:14: connection.uri: secrets never stand in a spec: remove the user and password; "
             "put it in `token`"],
        ),
        (
            "state: ./state\n",
            "state: ./state\nstorage: {type: s3, bucket: abc, access_key: {env: A}}\n",
            ["F:5:34: storage.access_key: `access_key` and `secret_key` go together: `secret_key` "
             "is missing"],
        ),
        (
            "state: ./state\n",
            "state: ./state\nbackup: {store: {type: local, path: b}}\n",
            ["F:5:1: backup: physical backups copy Milvus's segment files: `storage` must say "
             "where they are"],
        ),
        (
            "dimension: 64",
            "dimension: 64, options: {ngram_min: 3}",
            ["F:6:77: models[0].options.ngram_min: `ngram_min` (3) is greater than `ngram_max` "
             "(1)"],
        ),
    ],
)  # fmt: skip
def test_literal_text(errors: Errors, good: str, old: str, new: str, expected: list[str]) -> None:
    assert old in good
    assert errors(good.replace(old, new, 1)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "vector: emb",
            "vector: embd",
            ['F:9:22: collections[0].fields.vector: no column of that name (got "embd"); allowed: '
             "pk, sha, emb; did you mean `emb`?"],
        ),
        (
            "content_hash: sha",
            "content_hash: shaa",
            ["F:10:7: collections[0].fields.content_hash: no column of that name; write "
             '`content_hash: none` when none plays that role (got "shaa"); allowed: pk, sha, emb; '
             "did you mean `sha`?"],
        ),
        (
            " text: none,",
            "",
            ["F:11:5: collections[0].columns: no column is called `text`: write `fields: {text: "
             "none}`, or the column that plays that role"],
        ),
        (
            "text: none",
            "text: pk",
            ["F:9:85: collections[0].fields.text: a column of type INT64 can't be the text (got "
             '"pk"); allowed: VARCHAR'],
        ),
        (
            "id: pk",
            "id: sha",
            ['F:9:14: collections[0].fields.id: must be the primary key (got "sha"); allowed: pk'],
        ),
        (
            ", primary: true, auto_id: true",
            "",
            ["F:11:5: collections[0].columns: one column must have `primary: true`"],
        ),
        (
            "type: VARCHAR, max_length: 64",
            "type: VARCHAR, primary: true",
            ["F:13:9: collections[0].columns[1].max_length: missing: a column of type VARCHAR "
             "needs it",
             "F:13:36: collections[0].columns[1].primary: another column is primary already: there "
             "is only one"],
        ),
        (
            "max_length: 64",
            "max_length: 64, auto_id: true",
            ["F:13:52: collections[0].columns[1].auto_id: only the primary key can have it"],
        ),
        (
            "name: sha",
            "name: pk",
            ["F:10:7: collections[0].fields.content_hash: no column of that name; write "
             '`content_hash: none` when none plays that role (got "sha"); allowed: pk, emb',
             "F:13:10: collections[0].columns[1].name: the column `pk` is there more than once"],
        ),
        (
            "    columns:",
            "    model: words@1\n    columns:",
            [],
        ),
        (
            "dim: 64",
            "dim: 32",
            [],
        ),
        (
            "    columns:",
            "    chunking: {strategy: fixed, size: 100}\n    columns:",
            ["F:11:5: collections[0].chunking: passages are made to be embedded: name the "
             "`model`, or remove `chunking`"],
        ),
        (
            "field: emb,",
            "field: sha,",
            ["F:14:10: collections[0].columns[2].name: the vector field `emb` needs an index in "
             "`indexes`: Milvus can't load the collection without",
             "F:16:22: collections[0].indexes[0].type: the field `sha` of type VARCHAR can't have "
             'this index (got "IVF_FLAT")'],
        ),
    ],
)  # fmt: skip
def test_brownfield(
    errors: Errors, spec_file: Callable[[str], Path], old: str, new: str, expected: list[str]
) -> None:
    assert old in BROWNFIELD
    text = BROWNFIELD.replace(old, new, 1)
    if expected:
        assert errors(text) == expected
    else:
        assert load(spec_file(text), {}).spec.collections[0].columns


def test_the_dimension_of_a_known_model(errors: Errors) -> None:
    text = BROWNFIELD.replace("    columns:", "    model: words@1\n    columns:")
    assert errors(text.replace("dim: 64", "dim: 32")) == [
        "F:15:41: collections[0].columns[2].dim: the model words@1 has another dimension (got "
        "32); allowed: 64"
    ]


def test_a_collection_that_is_not_loaded_needs_no_index(
    spec_file: Callable[[str], Path],
) -> None:
    text = BROWNFIELD[: BROWNFIELD.index("    indexes:")] + "    load: {loaded: false}\n"
    assert load(spec_file(text), {}).spec.collections[0].indexes == []


@pytest.mark.parametrize("value", ["7", "[1]", "{a: 1}", "null", "x", "[{}]", "[[x]]", "1.5"])
@pytest.mark.parametrize(
    "key", ["connection", "storage", "models", "collections", "backup", "fields", "columns",
            "indexes", "aliases", "chunking", "load", "partitions", "name", "options"],
)  # fmt: skip
def test_values_of_any_form_are_refused_or_read(
    spec_file: Callable[[str], Path], good: str, key: str, value: str
) -> None:
    """Whatever stands at a key, loading ends with a spec or with a list of errors."""
    from kitestring.errors import SpecInvalid

    top = {"connection", "storage", "models", "collections", "backup"}
    if key in top:
        lines = [line for line in good.splitlines() if not line.startswith(f"{key}:")]
        text = "\n".join([*lines, f"{key}: {value}"]) + "\n"
    elif key == "options":
        text = good.replace("dimension: 64", f"dimension: 64, options: {value}")
    else:
        rest = good.replace("  - name: docs\n", "") if key == "name" else good
        text = rest.replace("    model: words@1\n", f"    {key}: {value}\n    model: words@1\n")
        text = text.replace("collections:\n    ", "collections:\n  - ")
    try:
        messages = [load(spec_file(text), {}).spec.cluster.name]
    except SpecInvalid as error:
        messages = [str(problem["text"]) for problem in error.problems]
    assert messages
    assert all(messages)
