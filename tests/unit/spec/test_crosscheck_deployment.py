"""`deployment` and `access` and what they must agree with: each error with its line and text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kitestring.spec.load import load

Errors = Callable[..., list[str]]

CLUSTER = """\
version: 1
cluster: {name: test}
connection: {kubernetes: {}}
state: ./state
storage: {type: s3, bucket: milvus}
deployment:
  version: "2.5.16"
  mode: cluster
  minio: {replicas: 1}
  message_log: {type: kafka}
  roles:
    query_node: {replicas: 2}
    index_node: {replicas: 1}
models:
  - {provider: hashing, name: words, version: "1", dimension: 64}
collections:
  - name: docs
    model: words@1
    aliases: [now]
    indexes:
      - {field: embedding, type: HNSW, metric: COSINE}
access:
  roles:
    - {name: reader, grants: [{name: docs, privileges: [Search]}]}
  users:
    - {name: app, roles: [reader]}
"""
QUERY_NODE = "    query_node: {replicas: 2}\n"
NO_LOG_SAYS_KAFKA = "; without `message_log` it is kafka (got "


def test_the_spec_of_these_tests_is_valid(spec_file: Callable[[str], Path]) -> None:
    assert load(spec_file(CLUSTER), {}).spec.deployment is not None


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
@pytest.mark.parametrize("version", ["2.3.5", "2.4.8", "2.5.16", "2.6.5"])
def test_every_known_version_has_a_valid_deployment(
    version: str, mode: str, spec_file: Callable[[str], Path]
) -> None:
    text = CLUSTER.replace("2.5.16", version).replace("mode: cluster", f"mode: {mode}")
    text = text.replace("  message_log: {type: kafka}\n", "").replace(
        "    query_node: {replicas: 2}\n    index_node: {replicas: 1}\n",
        "    standalone: {}\n" if mode == "standalone" else "    proxy: {replicas: 2}\n",
    )
    assert load(spec_file(text), {}).spec.deployment is not None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # --- roles and versions
        (
            '"2.5.16"', '"2.6.0"',
            ["F:13:5: deployment.roles.index_node: Milvus 2.6 has no index node, its data nodes "
             "build indexes: remove it and size `data_node`"],
        ),
        (
            QUERY_NODE, QUERY_NODE + "    streaming_node: {}\n",
            ["F:13:5: deployment.roles.streaming_node: Milvus 2.5 has no streaming node, 2.6 is "
             "the first that has: remove it"],
        ),
        (
            QUERY_NODE, QUERY_NODE + "    standalone: {}\n",
            ["F:13:5: deployment.roles.standalone: a cluster has pods by role: remove it, or "
             "write `mode: standalone`"],
        ),
        (
            "mode: cluster", "mode: standalone",
            ["F:12:5: deployment.roles.query_node: a standalone server has no query node: size it "
             "by `standalone`, or write `mode: cluster`",
             "F:13:5: deployment.roles.index_node: a standalone server has no index node: size it "
             "by `standalone`, or write `mode: cluster`"],
        ),
        (
            '"2.5.16"', '"2.2.16"',
            ['F:7:3: deployment.version: this version is not known (got "2.2.16"); allowed: 2.3, '
             "2.4, 2.5, 2.6"],
        ),
        (
            '"2.5.16"', "2.5",
            ["F:7:3: deployment.version: must be text: put it in quotes (got 2.5); allowed: "
             'a whole version in quotes, such as "2.5.16"'],
        ),
        # --- message log
        (
            "{type: kafka}", "{type: rocksmq}",
            ["F:10:17: deployment.message_log.type: a cluster of Milvus 2.5 has no rocksmq: it is "
             f'inside a standalone server{NO_LOG_SAYS_KAFKA}"rocksmq"); allowed: kafka, pulsar'],
        ),
        (
            "{type: kafka}", "{type: woodpecker}",
            ["F:10:17: deployment.message_log.type: a cluster of Milvus 2.5 has no woodpecker: "
             f'2.6 is the first that has{NO_LOG_SAYS_KAFKA}"woodpecker"); allowed: kafka, pulsar'],
        ),
        (
            "{type: kafka}", "{type: kafka, brokers: [kafka], replicas: 3}",
            ['F:10:40: deployment.message_log.brokers[0]: not an address (got "kafka"); allowed: '
             "HOST:PORT",
             "F:10:48: deployment.message_log.replicas: `brokers` names a Kafka that is there: "
             "nothing is made, remove it"],
        ),
        (
            "{type: kafka}", "{type: kafka, secret: sasl}",
            ["F:10:30: deployment.message_log.secret: it is for a Kafka that is there: name its "
             "`brokers`, or remove it"],
        ),
        # --- storage
        (
            "storage: {type: s3, bucket: milvus}\n", "",
            ["F:5:1: deployment: `storage` is missing: it names the bucket in which Milvus keeps "
             "its segments, as `storage: {type: s3, bucket: …}`"],
        ),
        (
            "{type: s3, bucket: milvus}", "{type: local, path: x}",
            ["F:5:11: storage.type: Milvus on Kubernetes keeps its segments in a bucket; for one "
             'of its own name `deployment.minio` (got "local"); allowed: s3'],
        ),
        (
            "  minio: {replicas: 1}\n", "",
            ["F:5:1: storage: Milvus has no way into this bucket: name `access_key` and "
             "`secret_key`, or `deployment.identity`; `deployment.minio` makes an object storage"],
        ),
        (
            "minio: {replicas: 1}", "minio: {replicas: 3}",
            ["F:9:11: deployment.minio.replicas: MinIO runs as one pod, or as 4 and more with "
             "erasure coding (got 3)"],
        ),
        (
            "  minio: {replicas: 1}\n",
            "  minio: {replicas: 1}\n  identity: {service_account: milvus}\n",
            ["F:10:3: deployment.identity: the MinIO of `minio` has keys of its own: an identity "
             "is for somebody else's S3; remove one of the two"],
        ),
        (
            "{kubernetes: {}}", "{embedded: ./milvus}",
            ["F:3:14: connection.embedded: `deployment` is a Milvus on Kubernetes: reach it by "
             "`uri` or `kubernetes`"],
        ),
        (
            "  mode: cluster\n",
            "  mode: cluster\n  etcd: {endpoints: ['e:2379', 'e'], replicas: 3}\n",
            ['F:9:32: deployment.etcd.endpoints[1]: not an address (got "e"); allowed: HOST:PORT',
             "F:9:38: deployment.etcd.replicas: `endpoints` names an etcd that is there: nothing "
             "is made, remove it"],
        ),
        # --- pods
        (
            QUERY_NODE, QUERY_NODE + "    data_node: {autoscale: {minimum: 1, maximum: 2, "
            "cpu_percent: 50}}\n",
            ["F:13:17: deployment.roles.data_node.autoscale: an autoscaler would break off the "
             "work of a data node: name `replicas`; proxies and query nodes can be scaled"],
        ),
        (
            "{replicas: 2}", "{replicas: 2, autoscale: {minimum: 3, maximum: 2, cpu_percent: 5}}",
            ["F:12:31: deployment.roles.query_node.autoscale: `replicas` says how many pods there "
             "are already: remove one of the two",
             "F:12:43: deployment.roles.query_node.autoscale.minimum: greater than `maximum` (2) "
             "(got 3)"],
        ),
        (
            "{replicas: 2}", "{autoscale: {minimum: 1, maximum: 2}}",
            ["F:12:18: deployment.roles.query_node.autoscale: name `cpu_percent` or "
             "`memory_percent`: there is nothing to scale by"],
        ),
        (
            QUERY_NODE, QUERY_NODE + "    coordinator: {replicas: 3}\n",
            ["F:13:19: deployment.roles.coordinator.replicas: one coordinator works and one "
             "stands by: more do nothing (got 3); allowed: 1, 2"],
        ),
        (
            "{replicas: 2}", "{replicas: 0}",
            ["F:12:18: deployment.roles.query_node.replicas: out of range (got 0); allowed: "
             "1 to 64"],
        ),
        (
            "    aliases: [now]\n", "    load: {replicas: 3}\n",
            ["F:19:12: collections[0].load.replicas: each replica needs a query node of its own, "
             "and the deployment has 2 (got 3); allowed: 1 to 2"],
        ),
        (
            "{replicas: 2}",
            "{resources: {cpu: 2Gi, memory: '8'}, disk: {size: 100m}}",
            ["F:12:30: deployment.roles.query_node.resources.cpu: not a number of cores (got "
             '"2Gi"); allowed: such as 500m or 2',
             "F:12:40: deployment.roles.query_node.resources.memory: less than a mebibyte: is a "
             'unit missing? (got "8"); allowed: such as 8Gi',
             "F:12:61: deployment.roles.query_node.disk.size: less than a mebibyte: is a unit "
             'missing? (got "100m"); allowed: such as 8Gi'],
        ),
        (
            QUERY_NODE, QUERY_NODE + "    querynode: {}\n",
            ["F:13:5: deployment.roles.querynode: unknown key; allowed: standalone, proxy, "
             "coordinator, query_node, data_node, index_node, streaming_node; did you mean "
             "`query_node`?"],
        ),
        (
            "  mode: cluster\n",
            "  mode: cluster\n  security: {client_cidrs: ['10.0.0.0/8', '10.0.0.1', nowhere]}\n",
            ["F:9:43: deployment.security.client_cidrs[1]: not a range of addresses (got "
             '"10.0.0.1"); allowed: such as 10.0.0.0/8',
             "F:9:55: deployment.security.client_cidrs[2]: not a range of addresses (got "
             '"nowhere"); allowed: such as 10.0.0.0/8'],
        ),
        # --- what the version has not
        (
            '"2.5.16"', '"2.3.5"', [],
        ),
        (
            "type: HNSW,", "type: IVF_RABITQ,",
            ["F:21:28: collections[0].indexes[0].type: Milvus 2.5.16 has no IVF_RABITQ, 2.6.0 is "
             "the first that has"],
        ),
        # --- access
        (
            "roles: [reader]}", "roles: [reader, redaer, admin, reader]}",
            ['F:26:35: access.users[0].roles[1]: no such role in `access.roles` (got "redaer"); '
             "allowed: reader, admin, public; did you mean `reader`?",
             "F:26:50: access.users[0].roles[3]: the role `reader` is there more than once"],
        ),
        (
            "name: app", "name: root",
            ["F:26:8: access.users[0].name: the user `root` is Milvus's own: it can't be declared"],
        ),
        (
            "  users:\n",
            "    - {name: admin}\n    - {name: public}\n    - {name: reader}\n  users:\n",
            ["F:25:8: access.roles[1].name: the role `admin` is Milvus's own: it can't be declared",
             "F:26:8: access.roles[2].name: the role `public` is Milvus's own: it can't be "
             "declared",
             "F:27:8: access.roles[3].name: the role `reader` is there more than once"],
        ),
        (
            "name: docs, privileges", "name: dosc, privileges",
            ["F:24:32: access.roles[0].grants[0].name: no such collection in `collections` (got "
             '"dosc"); allowed: docs, *; did you mean `docs`?'],
        ),
        (
            "name: docs, privileges", "name: now, privileges",
            ["F:24:32: access.roles[0].grants[0].name: this is an alias: a grant names the "
             'collection (got "now"); allowed: docs'],
        ),
        (
            "name: docs, privileges", "object: Global, name: docs, privileges",
            ["F:24:48: access.roles[0].grants[0].name: a Global grant has no object to name (got "
             '"docs"); allowed: *'],
        ),
    ],
)  # fmt: skip
def test_errors(
    old: str, new: str, expected: list[str], errors: Errors, spec_file: Callable[[str], Path]
) -> None:
    assert old in CLUSTER
    text = CLUSTER.replace(old, new, 1)
    if not expected:
        load(spec_file(text), {})
        return
    assert errors(text) == expected


CONFIG = CLUSTER.replace("  mode: cluster\n", "  mode: cluster\n  config: {KEY: x}\n")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("mq.type", "`deployment.message_log` says it: remove it here"),
        ("common_security.AuthorizationEnabled",
         "authentication is always on: remove it here"),
        ("MQ.Type", "`deployment.message_log` says it: remove it here"),
        ("etcd.endpoints", "`deployment.etcd` says it: remove it here"),
        ("minio.bucketName",
         "`storage`, `deployment.minio` and `deployment.identity` say it: remove it here"),
        ("common.security.authorizationEnabled", "authentication is always on: remove it here"),
        ("common.security.tlsMode", "`deployment.security.tls` says it: remove it here"),
        ("tls.serverPemPath", "`deployment.security.tls` says it: remove it here"),
        ("queryCoord.enableActiveStandby",
         "`deployment.roles.coordinator.replicas` says it: remove it here"),
        ("common.security.defaultRootPassword", "secrets never stand in a spec: remove it"),
        ("kafka.saslPassword", "secrets never stand in a spec: remove it"),
        ("maxSize",
         "not a setting: write it as in milvus.yaml, such as `dataCoord.segment.maxSize`"),
        ("log..level",
         "not a setting: write it as in milvus.yaml, such as `dataCoord.segment.maxSize`"),
        ("proxy.internalPort",
         "ports are fixed, Services and network policies name them: remove it here"),
        ("common.gracefulStopTimeout", "`termination_grace` of the role says it: remove it here"),
    ],
)  # fmt: skip
def test_settings_that_the_spec_says_itself(key: str, message: str, errors: Errors) -> None:
    assert errors(CONFIG.replace("KEY", key)) == [f"F:9:12: deployment.config.{key}: {message}"]


def test_other_settings_pass(spec_file: Callable[[str], Path]) -> None:
    text = CONFIG.replace("KEY: x", "dataCoord.segment.maxSize: 512, proxy.maxTaskNum: 2048")
    assert load(spec_file(text), {}).spec.deployment is not None


COLUMNS = """\
    fields: {id: pk, vector: embedding, tenant_id: none, doc_id: none, chunk_index: none,
      text: none, content_hash: none, embedding_model: none, chunker: none,
      last_embedded_at: none}
    columns:
      - {name: pk, type: INT64, primary: true}
      - {name: embedding, type: FLOAT_VECTOR, dim: 64}
      - {name: half, type: FLOAT16_VECTOR, dim: 64}
      - {name: sparse, type: SPARSE_FLOAT_VECTOR}
      - {name: tags, type: ARRAY, element_type: INT64, max_capacity: 4}
      - {name: note, type: VARCHAR, max_length: 64, nullable: true}
"""


def test_columns_and_indexes_that_came_later(errors: Errors) -> None:
    text = CLUSTER.replace("2.5.16", "2.3.1").replace("    aliases: [now]\n", COLUMNS)
    text = text.replace(
        "access:\n",
        "      - {field: half, type: HNSW_SQ, metric: COSINE}\n"
        "      - {field: sparse, type: SPARSE_WAND, metric: BM25}\n"
        "      - {field: note, type: INVERTED}\naccess:\n",
    )
    assert errors(text) == [
        "F:25:22: collections[0].columns[2].type: Milvus 2.3.1 has no FLOAT16_VECTOR, 2.4.0 is the "
        "first that has",
        "F:26:24: collections[0].columns[3].type: Milvus 2.3.1 has no SPARSE_FLOAT_VECTOR, 2.4.0 "
        "is the first that has",
        "F:27:22: collections[0].columns[4].type: Milvus 2.3.1 has no ARRAY, 2.3.2 is the first "
        "that has",
        "F:28:53: collections[0].columns[5].nullable: Milvus 2.3.1 can't leave a value out, 2.5.0 "
        "is the first that can",
        "F:31:23: collections[0].indexes[1].type: Milvus 2.3.1 has no HNSW_SQ, 2.5.0 is the first "
        "that has",
        "F:32:25: collections[0].indexes[2].type: Milvus 2.3.1 has no SPARSE_WAND, 2.4.0 is the "
        "first that has",
        "F:32:44: collections[0].indexes[2].metric: Milvus 2.3.1 has no BM25, 2.5.0 is the first "
        "that has",
        "F:33:23: collections[0].indexes[3].type: Milvus 2.3.1 has no INVERTED, 2.4.0 is the "
        "first that has",
    ]


def test_a_user_without_a_password_needs_a_deployment(errors: Errors) -> None:
    text = CLUSTER.replace("{kubernetes: {}}", "{uri: 'http://h:1'}")
    begin, end = text.index("deployment:"), text.index("models:")
    assert errors(text[:begin] + text[end:]) == [
        "F:18:7: access.users[0]: `password` is missing: one that is made is kept in a Secret of "
        "`deployment`, which this spec has not"
    ]


def test_keys_of_the_operator_beside_an_identity(spec_file: Callable[[str], Path]) -> None:
    """Milvus takes the identity; backups and scans that run elsewhere read with the keys."""
    text = CLUSTER.replace("  minio: {replicas: 1}\n", "  identity: {service_account: milvus}\n")
    text = text.replace(
        "bucket: milvus}", "bucket: milvus, access_key: {env: A}, secret_key: {env: B}}"
    )
    assert load(spec_file(text), {}).spec.deployment is not None


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("{replicas: 0}", "replicas: out of range (got 0); allowed: 1 to 64"),
        ("{replica: 3}", "replica: unknown key"),
    ],
)
def test_a_wrong_count_of_query_nodes_is_one_error(errors: Errors, role: str, message: str) -> None:
    text = CLUSTER.replace("{replicas: 2}", role).replace(
        "    aliases: [now]\n", "    load: {replicas: 3}\n"
    )
    (error,) = errors(text)
    assert message in error


def test_autoscaled_query_nodes_count_by_their_minimum(errors: Errors) -> None:
    text = CLUSTER.replace(
        "{replicas: 2}", "{autoscale: {minimum: 1, maximum: 4, memory_percent: 70}}"
    ).replace("    aliases: [now]\n", "    load: {replicas: 2}\n")
    assert errors(text) == [
        "F:19:12: collections[0].load.replicas: each replica needs a query node of its own, and "
        "the deployment has 1 (got 2); allowed: 1"
    ]
