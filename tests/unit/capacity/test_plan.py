"""What a plan says of a spec: what fits, what does not and why, what is not known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.capacity.calibration import Calibration
from kitestring.capacity.plan import MINIMUM, parse_rows, plan, recommended, require
from kitestring.capacity.result import CapacityPlan
from kitestring.errors import CapacityExceeded, UsageError
from kitestring.model.quantity import parse_bytes
from kitestring.spec.deployment import Resources
from kitestring.spec.models import Spec

SpecOf = Callable[..., Spec]
GI = 2**30
EXACT = Calibration(1.0, 0.0, 1.0)


def give(memory: str, replicas: int = 3) -> dict[str, Any]:
    return {
        "query_node": {"replicas": replicas, "resources": {"cpu": "4", "memory": memory}},
    }


def test_memory_of_a_replica_follows_rows_dimension_and_growth(spec_of: SpecOf) -> None:
    def need(**how: Any) -> int:
        return plan(spec_of(**how), calibration=EXACT).collections[0].memory or 0

    once = need(rows=1_000_000)
    # vector 512, graph 149, text 600, and 416 bytes of the other fields; rows not yet sealed
    assert once == pytest.approx(1e6 * (512 + 144 + 4.8 + 600 + 416) + 128 * 2**20, rel=0.02)
    assert need(rows=2_000_000) == pytest.approx(2 * once - 128 * 2**20, rel=0.001)
    assert need(dim=1536) - once == pytest.approx(1e6 * 1408 * 4)
    grown = need(capacity={"growth": 0.5, "headroom": 0.25})
    assert grown == pytest.approx(1.5 * once - 64 * 2**20, rel=0.001)


@pytest.mark.parametrize(
    ("nodes", "replicas", "part"), [(3, 1, 3), (3, 2, 1), (3, 3, 1), (4, 2, 2), (7, 2, 3)]
)
def test_a_replica_has_nodes_of_its_own(
    nodes: int, replicas: int, part: int, spec_of: SpecOf
) -> None:
    found = plan(spec_of(roles=give("64Gi", nodes), load={"replicas": replicas})).collections[0]
    assert found.memory
    assert found.share
    assert found.share == pytest.approx(found.memory / part, abs=1)


def test_what_fits_says_so(spec_of: SpecOf) -> None:
    found = plan(spec_of(roles=give("16Gi")))
    assert found.fits is True
    assert found.reasons == ()
    require(found, rows=True)


def test_a_load_above_nine_tenths_is_refused_with_the_figures(spec_of: SpecOf) -> None:
    spec = spec_of(rows=20_000_000, roles=give("8Gi"))
    found = plan(spec, calibration=EXACT)
    assert found.fits is False
    with pytest.raises(CapacityExceeded) as caught:
        require(found)
    assert caught.value.message.splitlines() == [
        "the collections of `test` do not fit:",
        f"  {found.reasons[0]}",
    ]
    assert found.reasons[0].startswith("the fullest query node would hold ")
    assert found.reasons[0].endswith(
        "its memory is 8.0 GiB, and Milvus refuses a load above 90% of it (7.2 GiB)"
    )


def test_the_limit_is_exactly_nine_tenths(spec_of: SpecOf) -> None:
    needed = plan(spec_of(rows=10_000_000, roles=give("1Ti"))).of("query_node").needed
    enough = -(-needed * 10 // 9)  # ceil
    for memory, fits in ((enough + 1, True), (enough - 2**20, False)):
        assert plan(spec_of(rows=10_000_000, roles=give(str(memory)))).fits is fits


def test_less_than_the_headroom_is_a_note(spec_of: SpecOf) -> None:
    needed = plan(spec_of(rows=10_000_000, roles=give("1Ti"))).of("query_node").needed
    found = plan(spec_of(rows=10_000_000, roles=give(str(int(needed / 0.85)))))
    assert found.fits is True
    assert any(
        "would be 85% full: less than the headroom of 25% stays free" in note
        for note in found.notes
    )


def test_what_is_recommended_fits_with_headroom(spec_of: SpecOf) -> None:
    spec = spec_of(rows=20_000_000, dim=768)
    found = plan(spec)
    role = found.of("query_node")
    assert role.given is None
    assert role.fits
    assert role.needed <= 0.75 * parse_bytes(role.recommended.memory)
    assert recommended(spec, "query_node") == role.recommended == found.resources("query_node")


def test_small_collections_get_the_published_minima(spec_of: SpecOf) -> None:
    found = plan(spec_of(rows=1000))
    assert {r.role: r.recommended for r in found.roles} == {
        role: MINIMUM[role]
        for role in ("index_node", "coordinator", "query_node", "data_node", "proxy")
    }


def test_from_2_6_the_data_node_builds_indexes(spec_of: SpecOf) -> None:
    found = plan(spec_of(version="2.6.5", rows=1000))
    assert found.of("data_node").recommended == MINIMUM["index_node"]
    with pytest.raises(KeyError):
        found.of("index_node")


def test_pods_that_no_node_can_hold(spec_of: SpecOf) -> None:
    limits = {"growth": 0.0, "headroom": 0.25, "node_memory": "16Gi"}
    found = plan(spec_of(rows=50_000_000, dim=768, capacity=limits))
    assert found.fits is False
    assert found.query_nodes_needed
    asked = found.of("query_node").recommended.memory
    assert found.reasons == (
        f"a pod of query_node asks for {asked}, and a Kubernetes node can give 16Gi; "
        f"{found.query_nodes_needed} query nodes would do, there are 3",
    )
    enough = {"query_node": {"replicas": found.query_nodes_needed}}
    assert plan(spec_of(rows=50_000_000, dim=768, capacity=limits, roles=enough)).fits is True
    fewer = {"query_node": {"replicas": found.query_nodes_needed - 1}}
    assert plan(spec_of(rows=50_000_000, dim=768, capacity=limits, roles=fewer)).fits is False


def test_rows_that_are_not_known_are_said_and_never_guessed(spec_of: SpecOf) -> None:
    found = plan(spec_of(rows=None))
    assert found.fits is None
    assert found.unknown == ("docs",)
    need = found.collections[0]
    assert (need.memory, need.share, need.stored) == (None, None, None)
    require(found)  # a preview goes on
    with pytest.raises(CapacityExceeded) as caught:
        require(found, rows=True)
    assert caught.value.message == "it is not known how many rows `docs` will have"
    assert caught.value.hint == "say it: `rows: N` at the collection"


def test_rows_of_the_command_line_win(spec_of: SpecOf) -> None:
    assert plan(spec_of(rows=None), {"docs": 5000}).collections[0].rows == 5000
    with pytest.raises(UsageError) as caught:
        plan(spec_of(), {"dosc": 1})
    assert (caught.value.message, caught.value.hint) == (
        "the spec has no collection `dosc`",
        "it has docs",
    )


@pytest.mark.parametrize("text", ["docs", "docs=", "=5", "docs=-1", "docs=1e6", "docs=many"])
def test_rows_of_another_form(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rows([text])
    assert caught.value.message == f"`{text}` does not say rows of a collection"
    assert caught.value.exit_code == 64


def test_rows_of_the_command_line() -> None:
    assert parse_rows(["a=5", "b=1_000_000"]) == {"a": 5, "b": 1_000_000}


def test_a_collection_that_is_not_loaded_takes_no_memory(spec_of: SpecOf) -> None:
    found = plan(spec_of(load={"loaded": False}))
    assert found.of("query_node").needed == 0
    assert found.fits is True
    assert found.collections[0].stored
    assert plan(spec_of(rows=None, load={"loaded": False})).unknown == ()


def test_a_standalone_server_holds_everything(spec_of: SpecOf) -> None:
    roles = {"standalone": {"resources": {"cpu": "2", "memory": "4Gi"}}}
    small = plan(spec_of(mode="standalone", roles=roles, rows=100_000))
    assert small.fits is True
    large = plan(spec_of(mode="standalone", roles=roles, rows=5_000_000))
    assert large.fits is False
    assert large.reasons[0].startswith("the standalone server would hold ")


def test_a_minio_that_is_too_small(spec_of: SpecOf) -> None:
    found = plan(spec_of(rows=20_000_000, minio={"volume": {"size": "10Gi"}}))
    assert found.fits is False
    assert found.reasons[0].startswith("each volume of minio should have ")
    assert found.reasons[0].endswith(
        " and has 10.0 GiB: segments, their indexes, and what compaction has replaced"
    )
    spread = plan(spec_of(rows=20_000_000, minio={"replicas": 4, "volume": {"size": "100Gi"}}))
    assert spread.fits is True


def test_a_log_that_may_be_too_small_is_a_note(spec_of: SpecOf) -> None:
    log = {"type": "kafka", "replicas": 3, "volume": {"size": "1Gi"}}
    found = plan(spec_of(message_log=log))
    assert found.fits is True
    assert found.notes == (
        "each volume of kafka should have 8.0 GiB and has 1.0 GiB: the log of every row written "
        "in the days that it is kept",
    )
    outside = plan(spec_of(message_log={"type": "kafka", "brokers": ["k:9092"]}))
    assert "kafka" not in {v.component for v in outside.volumes}


def test_diskann_needs_a_disk_and_little_memory(spec_of: SpecOf) -> None:
    index = {"field": "embedding", "type": "DISKANN", "metric": "L2"}
    on_disk = plan(spec_of(index=index, rows=10_000_000, dim=768, collection={"chunking": None}))
    in_memory = plan(spec_of(rows=10_000_000, dim=768, collection={"chunking": None}))
    assert (on_disk.collections[0].memory or 0) < 0.5 * (in_memory.collections[0].memory or 0)
    small = {"query_node": {"replicas": 3, "disk": {"size": "1Gi"}}}
    found = plan(spec_of(index=index, rows=10_000_000, dim=768, roles=small))
    assert any(r.startswith("each volume of query_node should have ") for r in found.reasons)


def test_without_a_deployment_there_is_nothing_to_fit(spec_of: SpecOf) -> None:
    found = plan(spec_of(deployed=False))
    assert found.fits is True
    assert found.roles == ()
    assert found.collections[0].memory


def test_as_dict_is_plain(spec_of: SpecOf) -> None:
    data = plan(spec_of()).as_dict()
    assert data["schema_version"] == 1
    assert data["fits"] is True
    assert next(r["role"] for r in data["roles"]) == "index_node"
    assert data["roles"][0]["recommended"] == {"cpu": "4", "memory": "8Gi"}
    assert set(data) == {f.name for f in dataclasses.fields(CapacityPlan)} | {"schema_version"}


@settings(max_examples=50)
@given(
    rows=st.integers(0, 10**9),
    dim=st.integers(2, 4096),
    nodes=st.integers(1, 64),
    memory=st.integers(1, 512),
    kind=st.sampled_from(["FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "HNSW", "SCANN", "DISKANN"]),
)
def test_more_memory_never_makes_a_plan_worse(
    rows: int, dim: int, nodes: int, memory: int, kind: str
) -> None:
    spec = Spec.model_validate(
        {
            "version": 1,
            "cluster": {"name": "test"},
            "connection": {"uri": "http://h:1"},
            "state": "state",
            "storage": {"type": "s3", "bucket": "milvus"},
            "models": [{"provider": "hashing", "name": "m", "version": "1", "dimension": dim}],
            "collections": [
                {
                    "name": "docs",
                    "model": "m@1",
                    "rows": rows,
                    "indexes": [{"field": "embedding", "type": kind, "metric": "L2"}],
                }
            ],
            "deployment": {
                "version": "2.5.16",
                "mode": "cluster",
                "roles": {
                    "query_node": {
                        "replicas": nodes,
                        "resources": {"cpu": "1", "memory": f"{memory}Gi"},
                    }
                },
            },
        }
    )
    found = plan(spec).of("query_node")
    assert spec.deployment is not None
    roles = spec.deployment.roles
    larger = roles.query_node.model_copy(  # type: ignore[union-attr]
        update={"resources": Resources(cpu="1", memory=f"{memory * 2}Gi")}
    )
    doubled = spec.model_copy(
        update={
            "deployment": spec.deployment.model_copy(
                update={"roles": roles.model_copy(update={"query_node": larger})}
            )
        }
    )
    assert plan(doubled).of("query_node").fits >= found.fits
