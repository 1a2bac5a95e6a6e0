"""`kitestring capacity`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kitestring.cli import cli, run

SPEC = """\
version: 1
cluster: {name: test}
connection: {kubernetes: {}}
state: ./state
storage: {type: s3, bucket: milvus}
deployment:
  version: "2.5.16"
  mode: cluster
  minio: {volume: {size: 1Ti}}
  capacity: {growth: 0.5, headroom: 0.25}
  roles:
    query_node: {replicas: 2, resources: {cpu: 2, memory: 8Gi}}
models:
  - {provider: hashing, name: words, version: "1", dimension: 128}
collections:
  - name: docs
    model: words@1
    rows: 1000000
    indexes:
      - {field: embedding, type: HNSW, metric: COSINE, params: {M: 16, efConstruction: 200}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    file = tmp_path / "cluster.yaml"
    file.write_text(SPEC.replace("cpu: 2,", 'cpu: "2",'))
    return str(file)


def plan(spec: str, *more: str) -> int:
    return run(cli, ["capacity", "plan", "--spec", spec, *more], "kitestring")


def test_a_plan_that_fits(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(spec) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "capacity of test: fits (rows grow by 50%, 25% of a query node's memory stays free)\n"
    )
    assert "docs        1,000,000  1,500,000  128  HNSW M=16  1" in out
    assert "the spec; recommended " in out
    assert "calibrated on Milvus 2.3.5: " in out


def test_a_plan_that_does_not(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(spec, "--rows", "docs=50_000_000") == 2
    out = capsys.readouterr().out
    assert out.startswith("capacity of test: does not fit (")
    assert "does not fit:\n  the fullest query node would hold " in out


def test_a_plan_of_which_rows_are_not_known(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(spec)
    file.write_text(file.read_text().replace("    rows: 1000000\n", ""))
    assert plan(spec) == 3
    out = capsys.readouterr().out
    assert out.startswith("capacity of test: not known (")
    assert "or --rows COLLECTION=N):\n  docs\n" in out
    assert plan(spec, "--rows", "docs=1000") == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("dosc=5", "error: the spec has no collection `dosc`\n\nhint: it has docs\n"),
        ("docs", "error: `docs` does not say rows of a collection\n\nhint: --rows docs=1000000\n"),
    ],
)
def test_rows_that_say_nothing(
    rows: str, message: str, spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(spec, "--rows", rows) == 64
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("", message)


def test_json(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(spec, "-o", "json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["schema_version"], data["fits"]) == (1, True)
    assert data["collections"][0]["grown"] == 1_500_000
    assert {r["role"] for r in data["roles"]} == {
        "proxy", "coordinator", "query_node", "data_node", "index_node",
    }  # fmt: skip


def test_markdown(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(spec, "-o", "markdown") == 0
    out = capsys.readouterr().out
    assert out.startswith("### capacity of test: fits (")
    assert "| collection | rows | grown |" in out
    assert "| docs | 1,000,000 | 1,500,000 | 128 | HNSW M=16 | 1 |" in out


def test_the_calibration_and_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["capacity", "calibration"], "kitestring") == 0
    out = capsys.readouterr().out
    assert "collection" in out.splitlines()[0]
    assert "FLAT 100,000 x 128" in out
    assert run(cli, ["capacity", "calibration", "-o", "json"], "kitestring") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["worst_error"] == max(abs(m["error"]) for m in data["measured"])


@pytest.mark.parametrize(
    "rows", ["1__0", "_1", "1_", "-5", "nan", "1e9", "٣", "9" * 16, "9" * 5000]
)
def test_rows_that_are_none(rows: str, spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(spec, "--rows", f"docs={rows}") == 64
    assert "does not say rows of a collection" in capsys.readouterr().err


def test_more_rows_than_there_can_be(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(spec)
    file.write_text(file.read_text().replace("rows: 1000000", f"rows: {10**400}"))

    assert plan(spec) == 1
    assert "collections[0].rows: out of range" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new"), [("headroom: 0.25", "headroom: 0.999999999"), ("1000000", str(10**15))]
)
def test_more_than_kubernetes_can_count_does_not_fit(
    old: str, new: str, spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(spec)
    given = ', resources: {cpu: "2", memory: 8Gi}'
    file.write_text(file.read_text().replace(old, new).replace(given, ""))

    assert plan(spec) in (0, 2)
    assert capsys.readouterr().err == ""
