"""The verbs `drift`, `embedding check` and `checks`, and the script, without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kitestring.drift import run_drift
from kitestring.errors import ServerUnreachable
from kitestring.model.finding import Severity
from tests.verbs import kitestring

ROOT = Path(__file__).parents[3]


@pytest.fixture
def observed(monkeypatch, clean):
    """Stands in for the server: what `detect` is asked for, and the snapshot that it sees."""
    asked = {"snapshot": clean}

    def detect(loaded, *, only=(), fail_on=Severity.FAIL, without=(), baseline=None, **_):
        asked.update(only=only, without=without)
        if isinstance(asked["snapshot"], Exception):
            raise asked["snapshot"]
        chosen = {"only": only, "fail_on": fail_on, "without": without}
        return run_drift(loaded, asked["snapshot"], baseline=baseline, **chosen)

    monkeypatch.setattr("kitestring.drift.detect", detect)
    monkeypatch.setattr("kitestring.drift.baseline.detect", detect)
    return asked


def test_clean(spec_from, observed, capsys):
    assert kitestring("drift", "--spec", spec_from().file) == 0
    assert "drift of test: pass" in capsys.readouterr().out


def test_drift_is_exit_code_2(spec_from, observed, clean, capsys):
    observed["snapshot"] = replace(clean, aliases={})
    assert kitestring("drift", "--spec", spec_from().file, "-o", "json") == 2
    assert json.loads(capsys.readouterr().out)["findings"][0]["check"] == "alias.drift"


def test_flags_arrive(spec_from, observed, clean):
    file = spec_from().file
    observed["snapshot"] = replace(clean, aliases={**clean.aliases, "more": "docs"})
    assert kitestring("drift", "--spec", file) == 0
    assert kitestring("drift", "--spec", file, "--fail-on", "warn") == 2
    assert kitestring("drift", "--spec", file, "--fail-on", "warn", "--only", "load") == 0
    assert kitestring("drift", "--spec", file, "--no-rows") == 0
    assert observed["without"] == {"rows"}


def test_a_mistyped_check_is_wrong_usage(spec_from, observed, capsys):
    assert kitestring("drift", "--spec", spec_from().file, "--only", "index.mising") == 64
    captured = capsys.readouterr()
    assert "did you mean `index.missing`?" in captured.err
    assert captured.out == ""


def test_a_server_that_goes_away_is_an_error_and_no_report(spec_from, observed, capsys, tmp_path):
    observed["snapshot"] = ServerUnreachable("no Milvus answers")
    out = tmp_path / "report.html"
    assert kitestring("drift", "--spec", spec_from().file, "-o", "html", "--out", out) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no Milvus answers" in captured.err
    assert not out.exists()


def test_an_interruption(spec_from, observed, capsys):
    class StopError(KeyboardInterrupt, Exception):
        pass

    observed["snapshot"] = StopError()
    assert kitestring("drift", "--spec", spec_from().file) == 130
    assert capsys.readouterr().out == ""


def test_out_is_written_whole_or_not_at_all(spec_from, observed, capsys, tmp_path):
    out = tmp_path / "drift.json"
    out.write_text("older")
    assert kitestring("drift", "--spec", spec_from().file, "-o", "json", "--out", out) == 0
    assert json.loads(out.read_text())["verdict"] == "pass"
    assert capsys.readouterr().out == ""
    missing = tmp_path / "no" / "drift.json"
    assert kitestring("drift", "--spec", spec_from().file, "--out", missing) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cluster.yaml", "drift.json"]


def test_embedding_check_asks_for_labels_only(spec_from, observed):
    assert kitestring("embedding", "check", "--spec", spec_from().file) == 0
    assert observed["only"] == ("embedding",)


def test_checks(capsys):
    assert kitestring("checks", "list") == 0
    assert "index.drift" in capsys.readouterr().out
    assert kitestring("checks", "list", "-o", "json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["schema_version"] == 1
    assert {"id", "severity", "meaning", "cause", "mend"} <= set(listed["checks"][0])
    assert kitestring("checks", "reference") == 0
    assert capsys.readouterr().out.startswith("# Checks\n")
    assert kitestring("checks", "show", "index.drift") == 0
    assert "## How to mend it" in capsys.readouterr().out
    assert kitestring("checks", "show", "index.drft") == 64
    assert "did you mean `index.drift`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "--fail-on"),
        (["--fail-on", "info"], 64, "error:"),
        (["--spec", "/nowhere.yaml"], 1, "/nowhere.yaml"),
    ],
)
def test_the_script_runs_without_an_environment(arguments, code, said):
    """As cron does: no PATH, no HOME, no working directory of ours."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/drift_detect.py"), *arguments],
        env={},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done
    assert "Traceback" not in done.stderr


# --- several formats, baselines


def test_several_formats_of_one_run(spec_from, observed, clean, capsys, tmp_path):
    observed["snapshot"] = replace(clean, aliases={})
    sarif, junit = tmp_path / "drift.sarif", tmp_path / "drift.xml"
    outputs = ("-o", f"sarif={sarif}", "-o", "github", "-o", f"junit={junit}")
    assert kitestring("drift", "--spec", spec_from().file, *outputs) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("::error file=")
    assert f"wrote {sarif}" in captured.err
    assert json.loads(sarif.read_text())["version"] == "2.1.0"
    assert junit.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "sarf"], "did you mean `sarif`?"),
        (["-o", "sarif="], "names no file"),
        (["-o", "json", "-o", "text"], "only one format can go to stdout"),
        (["-o", "json=a", "-o", "text=a"], "two formats would be written to a"),
        (["-o", "json=a", "--out", "b"], "nothing left for --out"),
    ],
)
def test_outputs_that_do_not_go_together(spec_from, observed, capsys, arguments, said):
    assert kitestring("drift", "--spec", spec_from().file, *arguments) == 64
    assert said in capsys.readouterr().err
    assert "only" not in observed  # nothing was observed


def test_a_place_that_cannot_be_written_is_told_before_the_scan(spec_from, observed, capsys):
    for option in ("--out", "--write-baseline"):
        assert kitestring("drift", "--spec", spec_from().file, option, "/no/such/place") == 1
        assert "there is no directory /no/such" in capsys.readouterr().err
    assert "only" not in observed


def test_a_baseline_is_written_and_used(spec_from, observed, clean, capsys, tmp_path):
    observed["snapshot"] = replace(clean, aliases={})
    file, spec = tmp_path / "baseline.json", spec_from().file
    assert kitestring("drift", "--spec", spec, "--write-baseline", file) == 0
    assert "baseline  alias.drift" in capsys.readouterr().out
    assert kitestring("drift", "--spec", spec, "--baseline", file) == 0
    observed["snapshot"] = replace(clean, aliases={}, backups=())
    assert kitestring("drift", "--spec", spec, "--baseline", file) == 2
    assert kitestring("drift", "--spec", spec, "--baseline", tmp_path / "none.json") == 1
    assert "there is no baseline" in capsys.readouterr().err


def test_a_kubeconfig_that_is_named_is_that_of_milvus_too(tmp_path, capsys):
    """Not one cluster's objects and another one's Milvus in one report."""
    spec, missing = ROOT / "infra" / "clusters" / "dev.yaml", tmp_path / "kubeconfig"
    assert kitestring("drift", "--spec", spec, "--no-rows", "--kubeconfig", missing) == 1
    assert f"there is no kubeconfig: {missing}" in capsys.readouterr().err
