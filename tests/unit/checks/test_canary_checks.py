"""What the checks make of a canary: verdicts, examples, and what can't be told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.drift.run import run_drift
from kitestring.enforce.embedding import judge
from kitestring.model.canary import (
    CanaryEvidence,
    Content,
    InSegment,
    Obstacle,
    QueryEncoder,
    Reembedded,
    Reference,
    Vectors,
)
from kitestring.model.evidence import Evidence
from kitestring.model.tally import Tally

ASKED = ("    aliases: [current]", "    canary: {}\n    aliases: [current]")
CHECKS = [c.id for c in BY_ID.values() if c.info.evidence is Evidence.CANARY]
GOOD = CanaryEvidence(
    model="words@1",
    population=3000,
    seed="2027-01-15",
    reference=Reference(1_700_000_000_000, 1000, 0.9999, 1.0),
    reembedded=Reembedded(300, worst=0.99995),
    query=QueryEncoder(17),
    vectors=Vectors("sample", 300, 3000, 8),
    content=Content(300, 500, 0.0001, 0.4),
)


@pytest.fixture
def asked(spec_from):
    return spec_from(ASKED)


@pytest.fixture
def with_canary(clean):
    """The clean snapshot with a canary of `docs`: the good one with some parts replaced."""

    def make(**parts):
        docs = replace(clean.collections["docs"], canary=replace(GOOD, **parts))
        return replace(clean, collections={"docs": docs})

    return make


def told(loaded, snapshot):
    return [f for check in CHECKS for f in BY_ID[check].run(loaded, snapshot)]


def below(k, n=300, **more):
    keys = tuple(f"k{i}" for i in range(min(k, 5)))
    return Reembedded(n, Tally(k, keys), worst=0.12, **more)


def test_clean(asked, with_canary):
    assert told(asked, with_canary()) == []
    assert run_drift(asked, with_canary(), only=["embedding"]).exit_code == 0


def test_a_spec_that_asks_for_none_is_left_alone(spec_from, clean):
    report = run_drift(spec_from(), clean)
    assert report.exit_code == 0
    assert not {run.check for run in report.runs} & set(CHECKS)


@pytest.mark.parametrize(
    ("k", "severity"), [(1, "warn"), (5, "warn"), (6, "fail"), (15, "fail"), (300, "fail")]
)
def test_six_of_300_fail_and_fewer_warn(asked, with_canary, k, severity):
    (finding,) = told(asked, with_canary(reembedded=below(k)))
    assert (finding.check, finding.severity) == ("embedding.canary", severity)
    assert "for example k0" in finding.message
    assert f"{k} of 300 rows" in finding.message
    assert finding.location.line == 18
    report = run_drift(asked, with_canary(reembedded=below(k)), only=["embedding"])
    assert report.exit_code == (2 if severity == "fail" else 0)


def test_a_second_sample_needs_more(asked, with_canary):
    (finding,) = told(asked, with_canary(reembedded=below(8, 600, first_rows=300, first_below=3)))
    assert finding.severity == "warn"
    assert "8 of 600 rows (3 of the first 300)" in finding.message
    (finding,) = told(asked, with_canary(reembedded=below(9, 600, first_rows=300, first_below=5)))
    assert finding.severity == "fail"


@pytest.mark.parametrize(("k", "severity"), [(1, "info"), (3, "info"), (5, "warn"), (9, "fail")])
def test_a_model_that_does_not_repeat_itself_is_given_what_chance_explains(
    asked, with_canary, k, severity
):
    snapshot = with_canary(
        reembedded=below(k, 600, first_rows=300), reference=Reference(1, 1000, 0.8, 0.85)
    )
    (finding,) = told(asked, snapshot)
    assert finding.severity == severity


def test_several_collections_are_corrected_for(spec_from, with_canary):
    """Six of 300 is a rare chance, and not so rare among ten collections."""
    text = "  - name: docs\n    model: words@1\n"
    more = "".join(
        f"  - name: c{i}\n    model: words@1\n    canary: {{}}\n    load: {{loaded: false}}\n"
        for i in range(9)
    )
    loaded = spec_from(ASKED, (text, more + text))
    snapshot = with_canary(reembedded=below(6))
    docs = snapshot.collections["docs"]
    others = {f"c{i}": replace(docs, canary=GOOD) for i in range(9)}
    snapshot = replace(snapshot, collections={"docs": docs, **others})
    (finding,) = told(loaded, snapshot)
    assert (finding.subject, finding.severity) == ("test/docs", "warn")
    docs = replace(docs, canary=replace(GOOD, reembedded=below(9)))
    (finding,) = told(loaded, replace(snapshot, collections={"docs": docs, **others}))
    assert finding.severity == "fail"


@pytest.mark.parametrize(
    ("parts", "checks", "said"),
    [
        (
            {
                "unsigned": Obstacle("the vectors have not been signed off", ""),
                "reference": None, "reembedded": None, "query": None, "content": None,
            },
            {"embedding.sign-off"},
            "not been signed off",
        ),
        (
            {"unanswered": Obstacle("HTTP 429", "later"), "reembedded": None, "query": None},
            {"embedding.canary", "embedding.query-encoder"},
            "HTTP 429",
        ),
        (
            {
                "unread": Obstacle("the collection is not loaded", "load it"),
                "vectors": None, "reembedded": None, "query": None, "content": None,
            },
            {"embedding.canary", "embedding.vectors"},
            "not loaded",
        ),
        (
            {"reembedded": Reembedded(290, textless=Tally(10, ("k7",)))},
            {"embedding.canary"},
            "10 rows of the sample without a text, for example k7",
        ),
        (
            {"reembedded": Reembedded(3), "reference": Reference(1, 3, 0.9, 1.0)},
            {"embedding.canary"},
            "can prove nothing",
        ),
        (
            {"vectors": Vectors("api", 10, 30, 8, complete=False, reason="10 of 30 were read")},
            {"embedding.vectors"},
            "10 of 30",
        ),
        (
            {"content": Content(300, 500, 0.2, 0.001), "reembedded": below(1)},
            {"embedding.content-drift"},
            "content or model",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_no_pass(asked, with_canary, parts, checks, said):
    findings = [f for f in told(asked, with_canary(**parts)) if f.inconclusive]
    assert {f.check for f in findings} == checks
    assert all(said in f.message for f in findings)
    assert all(f.hint for f in findings)
    assert run_drift(asked, with_canary(**parts), only=["embedding"]).exit_code == 3


def test_without_a_sign_off_nothing_that_needs_one_passes(asked, with_canary):
    parts = {"reference": None, "reembedded": None, "query": None, "content": None}
    snapshot = with_canary(unsigned=Obstacle("there is none", ""), **parts)
    report = run_drift(asked, snapshot, only=["embedding"])
    verdicts = {run.check: run.verdict.value for run in report.runs}
    assert verdicts["embedding.vectors"] == "pass"
    for check in ("sign-off", "canary", "query-encoder", "content-drift"):
        assert verdicts[f"embedding.{check}"] == "inconclusive"


def test_a_canary_that_was_not_taken_is_no_pass_either(asked, clean):
    report = run_drift(asked, clean, only=["embedding"])
    assert report.exit_code == 3


@pytest.mark.parametrize(
    ("query", "repeatability", "severity", "said"),
    [
        ({"changed": ("long/4",), "worst": 0.8}, 1.0, "fail", "long/4"),
        ({"changed": ("long/4",), "worst": 0.8}, 0.9, "warn", "1 of 17 probe texts"),
        ({"changed": tuple("abcde"), "worst": 0.8}, 0.9, "fail", "5 of 17 probe texts"),
        ({"lengths": (1.0, 9.5)}, 1.0, "fail", "another length"),
        ({"settings": ("options.analyzer: word, now char",)}, 1.0, "warn", "analyzer"),
    ],
)
def test_a_query_encoder_that_changed(asked, with_canary, query, repeatability, severity, said):
    snapshot = with_canary(
        query=QueryEncoder(17, **query), reference=Reference(1, 1000, 0.9, repeatability)
    )
    (finding,) = told(asked, snapshot)
    assert (finding.check, finding.severity) == ("embedding.query-encoder", severity)
    assert said in finding.message


@pytest.mark.parametrize(
    ("fault", "severity"), [("not_finite", "fail"), ("zero", "fail"), ("other_length", "warn")]
)
def test_vectors_that_no_search_finds(asked, with_canary, fault, severity):
    vectors = replace(GOOD.vectors, path="api", **{fault: Tally(3, ("k1", "k2"))})
    (finding,) = told(asked, with_canary(vectors=vectors))
    assert (finding.check, finding.severity) == ("embedding.vectors", severity)
    assert "3 of all 300 rows" in finding.message
    assert "for example k1, k2" in finding.message


def test_another_length_fails_where_the_metric_sees_it(spec_from, with_canary):
    snapshot = with_canary(vectors=replace(GOOD.vectors, other_length=Tally(1, ("k1",))))
    docs = snapshot.collections["docs"]
    state = docs.info.indexes[0]
    index = replace(state, index=replace(state.index, metric="IP"))
    docs = replace(docs, info=replace(docs.info, indexes=(index,)))
    (finding,) = told(spec_from(ASKED), replace(snapshot, collections={"docs": docs}))
    assert finding.severity == "fail"


def test_another_dimension_than_the_models(spec_from, with_canary):
    loaded = spec_from(ASKED, ("dimension: 8", "dimension: 16"))
    findings = told(loaded, with_canary())
    assert [(f.check, f.severity) for f in findings] == [("embedding.vectors", "fail")]


def test_changed_content_only_warns(asked, with_canary):
    snapshot = with_canary(content=Content(300, 500, 0.2, 0.001))
    (finding,) = told(asked, snapshot)
    assert (finding.check, finding.severity) == ("embedding.content-drift", "warn")
    assert "the content has changed" in finding.message
    assert run_drift(asked, snapshot, only=["embedding"]).exit_code == 0
    assert told(asked, with_canary(content=Content(300, 500, 0.2, 0.04))) == []


def test_the_role_fails_on_vectors_and_warns_of_doubts(asked, with_canary):
    result = judge(run_drift(asked, with_canary(reembedded=below(40)), only=["embedding"]))
    assert result.verdict.value == "fail"
    assert "40 of 300 rows" in result.lines(result.wrong)[0]
    doubt = judge(run_drift(asked, with_canary(reembedded=below(2)), only=["embedding"]))
    assert (doubt.verdict.value, len(doubt.doubtful)) == ("pass", 1)
    assert [f["check"] for f in doubt.as_dict()["findings"]] == ["embedding.canary"]


def test_it_tells_the_segments_that_the_rows_are_in(asked, with_canary):
    parts = (InSegment(31, 200, 0), InSegment(32, 60, 6), InSegment(33, 40, 1))
    (found,) = told(asked, with_canary(reembedded=below(7, segments=parts)))
    assert "6 of 60 in segment 32, 1 of 40 in segment 33, none in the other 1; " in found.observed
    (found,) = told(asked, with_canary(reembedded=below(7, segments=parts[1:])))
    assert "segment" not in found.observed
