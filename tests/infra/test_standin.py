"""The stand-in for the Kubernetes plugin: what it sees as a change, and when something is ready."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest

from tests.e2e.provider.standin import readiness, values
from tests.e2e.provider.standin.values import Change, changes, declared

POD = {"containers": [{"name": "c", "image": "x:1", "env": [{"name": "A", "value": "1"}]}]}


@pytest.mark.parametrize(
    ("a", "b"),
    [("1024Mi", "1Gi"), ("0.5", "500m"), (1, "1"), (None, {}), ([], None), ("2", "2000m")],
)
def test_values_that_mean_the_same(a: Any, b: Any) -> None:
    assert values.same(a, b)
    assert list(changes({"x": a}, {"x": b})) == []


@pytest.mark.parametrize(("a", "b"), [("1Gi", "1G"), ("x", "y"), (0, None), (False, None), (1, 2)])
def test_values_that_differ(a: Any, b: Any) -> None:
    assert not values.same(a, b)


def test_a_change_is_named_by_its_path() -> None:
    old = {"spec": {"replicas": 3, "template": {"spec": POD}, "gone": True}}
    pod = {"containers": [{"name": "c", "image": "x:2", "env": [{"name": "A", "value": "1"}]}]}
    new = {"spec": {"replicas": 3, "template": {"spec": pod}}, "metadata": {"labels": {"a/b": "c"}}}
    assert {(c.property_path, c.op) for c in changes(old, new)} == {
        ("spec.gone", "delete"),
        ("spec.template.spec.containers[0].image", "update"),
        ("metadata", "add"),
    }
    assert Change(("metadata", "labels", "a/b"), "add").property_path == 'metadata.labels["a/b"]'


def test_what_the_api_server_adds_is_not_seen() -> None:
    inputs = {"spec": {"template": {"spec": POD}, "memory": "1024Mi", "minReadySeconds": 0}}
    live = {
        "metadata": {"uid": "1"},
        "spec": {
            "replicas": 1,
            "memory": "1Gi",
            "template": {
                "spec": {
                    "restartPolicy": "Always",
                    "containers": [{**POD["containers"][0], "terminationMessagePath": "/dev/x"}],
                }
            },
        },
    }
    assert declared(inputs, live) == inputs


def test_what_somebody_changed_or_added_is_seen() -> None:
    inputs = {"spec": {"template": {"spec": POD}, "replicas": 3}}
    by_hand = {"name": "B", "value": "2"}
    env = [{"name": "A", "value": "9"}, by_hand]
    live = {
        "spec": {
            "replicas": 5,
            "template": {"spec": {"containers": [{"name": "c", "image": "x:1", "env": env}]}},
        }
    }
    seen = declared(inputs, live)
    assert {c.property_path for c in changes(seen, inputs)} == {
        "spec.replicas",
        "spec.template.spec.containers[0].env[0].value",
        "spec.template.spec.containers[0].env[1]",
    }


def test_an_item_that_somebody_took_away_is_seen() -> None:
    inputs = {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    seen = declared(inputs, {"ports": [{"name": "b", "port": 2, "protocol": "TCP"}]})
    assert seen == {"ports": [{"name": "b", "port": 2}]}
    assert list(changes(seen, inputs)) != []


def test_string_data_is_compared_with_the_data_that_came_of_it() -> None:
    data = {"password": base64.b64encode(b"x").decode()}
    assert declared({"stringData": {"password": "x"}}, {"data": data}) == {
        "stringData": {"password": "x"}
    }


def test_a_secret_goes_to_the_engine_marked_as_one() -> None:
    sealed = values.struct(values.sealed({"kind": "Secret", "data": {"password": "eA=="}}))
    assert sealed.fields["data"].struct_value.fields[values.SIGNATURE].string_value == values.SECRET
    assert values.plain(sealed) == {"kind": "Secret", "data": {"password": "eA=="}}


def test_numbers_come_back_whole() -> None:
    assert values.plain(values.struct({"a": 3, "b": [0.5, None, True]})) == {
        "a": 3,
        "b": [0.5, None, True],
    }


class Cluster:
    """Answers with what it is given, one after another; the last one stays."""

    def __init__(self, *objects: dict[str, Any] | None, **paths: dict[str, Any]) -> None:
        self.objects = list(objects)
        self.paths = paths

    def get(self, api_version: str, kind: str, id_: str) -> dict[str, Any] | None:
        return self.objects.pop(0) if len(self.objects) > 1 else self.objects[0]

    def read(self, path: str) -> dict[str, Any] | None:
        return self.paths.get(path.rpartition("/")[2])


def stateful_set(ready: int, **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s", "generation": 2, "annotations": annotations},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": 2},
    }


def test_readiness_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "INTERVAL", 0)
    cluster = Cluster(stateful_set(1), stateful_set(2))
    made = readiness.await_ready(cluster, stateful_set(0), "n/s", threading.Event(), 5)
    assert made["status"]["readyReplicas"] == 2


def test_who_says_so_is_not_waited_for() -> None:
    body = stateful_set(0, **{readiness.SKIP: "true"})
    assert readiness.await_ready(Cluster(None), body, "n/s", threading.Event(), 5) == body


def test_what_is_not_ready_in_time_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "INTERVAL", 0)
    with pytest.raises(readiness.Failed, match="1 of 2 pods are ready"):
        readiness.await_ready(
            Cluster(stateful_set(1)), stateful_set(1), "s", threading.Event(), 0.01
        )


def test_a_cancelled_run_stops_waiting() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(readiness.Failed, match="interrupted"):
        readiness.await_ready(Cluster(stateful_set(1)), stateful_set(1), "s", stop, 60)


@pytest.mark.parametrize(("mode", "waits"), [("WaitForFirstConsumer", False), ("Immediate", True)])
def test_a_claim_that_waits_for_its_pod_is_ready(mode: str, waits: bool) -> None:
    claim = {"kind": "PersistentVolumeClaim", "spec": {"storageClassName": "s"}, "status": {}}
    cluster = Cluster({"volumeBindingMode": mode})
    assert bool(readiness.waiting_for(cluster, claim)) is waits


def test_a_rollout_that_does_not_progress_fails_at_once() -> None:
    body = stateful_set(0) | {"kind": "Deployment"}
    condition = {"type": "Progressing", "status": "False", "message": "deadline exceeded"}
    body["status"] = {"observedGeneration": 2, "conditions": [condition]}
    with pytest.raises(readiness.Failed, match="deadline exceeded"):
        readiness.waiting_for(Cluster(None), body)
