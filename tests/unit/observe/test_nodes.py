"""Query nodes out of metrics: of an endpoint, and of a stand-in for Prometheus's HTTP API."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from kitestring.clients.metrics import query, scrape
from kitestring.errors import MetricsUnreadable
from kitestring.model.nodes import QueryNode
from kitestring.observe.nodes import nodes_from, probe_nodes
from kitestring.spec.crosscheck_metrics import check_metrics

TEXT = """# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1.95407872e+08
# TYPE milvus_querynode_segment_num gauge
milvus_querynode_segment_num{collection_id="7",node_id="3",segment_state="Sealed"} 2
milvus_querynode_segment_num{collection_id="7",node_id="3",segment_state="Growing"} 1
# TYPE milvus_querynode_entity_num gauge
milvus_querynode_entity_num{collection_id="7",node_id="3",segment_state="Sealed"} 2000
milvus_querynode_entity_num{collection_id="7",node_id="3",segment_state="Growing"} 5
# TYPE milvus_querynode_collection_num gauge
milvus_querynode_collection_num{node_id="3"} 1
"""
NODE = QueryNode(3, 195407872, 3, {7: 2005})


def in_prometheus(instance, node):
    def one(name, value, **labels):
        metric = {"__name__": name, "instance": instance, "namespace": "milvus", **labels}
        return {"metric": metric, "value": [1.0, str(value)]}

    return [
        one("process_resident_memory_bytes", 1000 * node),
        one("milvus_querynode_segment_num", 2, node_id=str(node), collection_id="7"),
        one("milvus_querynode_entity_num", 50, node_id=str(node), collection_id="7"),
    ]


@pytest.fixture
def server():
    """Answers as told; `asked` has the queries and tokens."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            body, status = TEXT.encode(), 200
            if parts.path == "/api/v1/query":
                expression = parse_qs(parts.query)["query"][0]
                asked.append((expression, self.headers.get("Authorization", "")))
                result = [*in_prometheus("a:9091", 1), *in_prometheus("b:9091", 2)]
                said = {"status": "success", "data": {"resultType": "vector", "result": result}}
                if "!!" in expression:
                    said, status = {"status": "error", "error": "parse error"}, 400
                body = json.dumps(said).encode()
            elif parts.path == "/html":
                body = b"<html>hello</html>"
            elif parts.path != "/metrics":
                status = 404
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", asked
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_an_endpoint(server):
    assert list(nodes_from(scrape(f"{server[0]}/metrics", timeout=5))) == [NODE]


def test_a_process_that_is_no_query_node(server):
    assert list(nodes_from([])) == []


@pytest.mark.parametrize("path", ["/html", "/nothing"])
def test_no_metrics(server, path):
    with pytest.raises(MetricsUnreadable):
        scrape(server[0] + path, timeout=5)


def test_nobody_there():
    with pytest.raises(MetricsUnreadable) as caught:
        scrape("http://127.0.0.1:9/metrics", timeout=2)
    assert "refused" in caught.value.message


def test_prometheus_says_what_it_does_not_like(server):
    with pytest.raises(MetricsUnreadable) as caught:
        query(server[0], "!!", timeout=5)
    assert "parse error" in caught.value.message


def test_nodes_out_of_prometheus(server, spec_from, clean, monkeypatch):
    uri, asked = server
    monkeypatch.setenv("PROM", "secret")
    metrics = (
        f"metrics: {{prometheus: '{uri}', select: 'namespace=\"milvus\"', token: {{env: PROM}}, "
        "node_memory: 8Gi}\nobjectives:"
    )
    seen = probe_nodes(spec_from(("objectives:", metrics)), None, clean).nodes
    assert seen.nodes == (QueryNode(1, 1000, 2, {7: 50}), QueryNode(2, 2000, 2, {7: 50}))
    assert seen.reason == ""
    ((expression, token),) = asked
    assert 'namespace="milvus"' in expression
    assert token == "Bearer secret"


def test_a_node_that_holds_segments_and_is_not_seen(server, spec_from, clean):
    metrics = f"metrics: {{endpoints: ['{server[0]}/metrics'], node_memory: 8Gi}}\nobjectives:"
    seen = probe_nodes(spec_from(("objectives:", metrics)), None, clean).nodes
    assert seen.nodes == (NODE,)
    assert seen.reason == "no metrics of the query nodes 1"
    away = metrics.replace(server[0], "http://127.0.0.1:9")
    assert (
        "no metrics at" in probe_nodes(spec_from(("objectives:", away)), None, clean).nodes.reason
    )
    assert probe_nodes(spec_from(), None, clean).nodes is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"metrics": {"node_memory": "8Gi"}}, "name the metrics"),
        ({"metrics": {"endpoints": ["x"], "prometheus": "y", "node_memory": "8Gi"}}, "keep one"),
        ({"metrics": {"endpoints": ["x"], "select": "z", "node_memory": "8Gi"}}, "prometheus"),
        ({"metrics": {"endpoints": ["x"]}}, "node_memory"),
    ],
)
def test_what_a_spec_leaves_out(data, said):
    ((message),) = [p.message for p in check_metrics(data)]
    assert said in message
    embedded = {"connection": {"embedded": "x"}, "metrics": {"node_memory": "8Gi"}}
    assert list(check_metrics(embedded)) == []
