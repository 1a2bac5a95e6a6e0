"""The day-2 jobs: what they run, when, as whom, and with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from kitestring.cli import cli
from kitestring.manifests.base import Manifest
from kitestring.manifests.build import build
from kitestring.manifests.day2 import JOBS, VERDICTS, schedules
from kitestring.manifests.jobs import manifests, secret_plans
from kitestring.spec.load import load
from kitestring.spec.models import Spec

CLUSTERS = Path(__file__).parents[3] / "infra" / "clusters"
IMAGE = "ghcr.io/kitestring/kitestring:0.1.0"


def spec_of(name: str, **overlay: str) -> Spec:
    environ = {"KITESTRING__DEPLOYMENT__IMAGES__KITESTRING": IMAGE} | {
        f"KITESTRING__{key}": value for key, value in overlay.items()
    }
    return load(CLUSTERS / f"{name}.yaml", environ).spec


def of_kind(spec: Spec, kind: str) -> list[Manifest]:
    return [m for m in manifests(spec) if m.kind == kind]


def pods(spec: Spec) -> list[dict[str, Any]]:
    return [
        m.body["spec"]["jobTemplate"]["spec"]["template"]["spec"] for m in of_kind(spec, "CronJob")
    ]


def parse(arguments: list[str]) -> None:
    """Parses a command line down to its verb, without running it.

    Raises:
        click.UsageError: there is no such verb or flag.
    """
    command: click.Command = cli
    context = click.Context(cli)
    rest = list(arguments)
    while isinstance(command, click.Group):
        name = rest.pop(0)
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no verb {name}")
        command = found
    command.make_context(command.name, rest)


@pytest.mark.parametrize("job", JOBS, ids=lambda j: j.name)
def test_every_job_runs_a_command_that_there_is(job: Any) -> None:
    parse([*job.arguments, "--spec", "x.yaml"])


def test_a_command_that_there_is_not_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse(["backup", "create", "--no-such-flag"])
    with pytest.raises(click.UsageError):
        parse(["backup", "no-such-verb"])


def test_the_spec_says_when() -> None:
    spec = spec_of(
        "dev",
        DAY2__BACKUP__AT="05:10",
        DAY2__COMPACTION__AT="06:00",
        DAY2__EMBEDDING__AT="07:15",
        DAY2__DRIFT__EVERY="1h",
        OBJECTIVES__DRILL_EVERY="1d",
    )
    assert schedules(spec) == {
        "backup": "10 5 * * *",
        "compaction": "0 6 * * *",
        "embedding": "15 7 * * *",
        "drift": "55 * * * *",
        "drill": "10 7 * * *",
    }
    live = {m.name: m.body["spec"]["schedule"] for m in of_kind(spec, "CronJob")}
    assert live["dev-drill"] == "10 7 * * *"


def test_without_a_backup_section_there_is_nothing_to_back_up_or_drill() -> None:
    data = spec_of("dev")
    spec = data.model_copy(update={"backup": None, "objectives": None})
    assert set(schedules(spec)) == {"compaction", "embedding", "drift"}


def test_no_jobs_where_no_image_is_named() -> None:
    spec = load(CLUSTERS / "dev.yaml", {}).spec
    assert manifests(spec) == ()
    assert secret_plans(spec) == ()
    assert build(spec).of("jobs") == ()


def test_they_are_part_of_the_deployment() -> None:
    bundle = build(spec_of("dev"))
    assert {m.kind for m in bundle.of("jobs")} == {
        "ConfigMap",
        "CronJob",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "ServiceAccount",
    }


def test_every_secret_that_a_job_reads_is_made_by_somebody() -> None:
    for name in ("dev", "prod"):
        spec = spec_of(name, COLLECTIONS__0__GOLDEN="null")
        plans = {p.name: set(p.entries) for p in build(spec).secrets}
        for pod in pods(spec):
            for variable in pod["containers"][0]["env"]:
                ref = variable["valueFrom"]["secretKeyRef"]
                assert ref["key"] in plans[ref["name"]]


def test_one_run_at_a_time_and_no_second_try_after_a_verdict() -> None:
    for manifest in of_kind(spec_of("dev"), "CronJob"):
        spec = manifest.body["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["startingDeadlineSeconds"] >= 10  # below it, Kubernetes may never start it
        job = spec["jobTemplate"]["spec"]
        assert job["activeDeadlineSeconds"] > 0
        failing = [r for r in job["podFailurePolicy"]["rules"] if r["action"] == "FailJob"]
        assert failing[0]["onExitCodes"]["values"] == list(VERDICTS)
        assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_pods_are_restricted() -> None:
    for pod in pods(spec_of("dev")):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        written = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
        assert written == {"/tmp", "/var/lib/kitestring"}


def test_a_drill_has_room_for_a_second_server() -> None:
    spec = spec_of("dev", DEPLOYMENT__JOBS__SCRATCH="50Gi")
    drill = next(p for p in pods(spec) if "drill" in p["containers"][0]["args"])
    assert drill["containers"][0]["resources"]["limits"]["memory"] == "4Gi"
    sizes = [v["emptyDir"]["sizeLimit"] for v in drill["volumes"] if "emptyDir" in v]
    assert sizes == ["50Gi"]


def test_state_is_kept_as_the_spec_says() -> None:
    assert [m.keep for m in of_kind(spec_of("dev"), "PersistentVolumeClaim")] == [True]
    gone = spec_of("dev", DEPLOYMENT__KEEP_VOLUMES="false")
    assert [m.keep for m in of_kind(gone, "PersistentVolumeClaim")] == [False]


def test_a_schedule_can_be_held() -> None:
    spec = spec_of("dev", DEPLOYMENT__JOBS__SUSPEND="[drill]")
    held = {m.name: m.body["spec"]["suspend"] for m in of_kind(spec, "CronJob")}
    assert held["dev-drill"] is True
    assert held["dev-backup"] is False


def test_jobs_of_an_identity_run_as_it() -> None:
    spec = spec_of("prod")
    assert of_kind(spec, "ServiceAccount") == []
    assert {p["serviceAccountName"] for p in pods(spec)} == {"milvus"}


def test_network_policy_lets_out_what_the_spec_names_and_nothing_in() -> None:
    spec = spec_of("prod", BACKUP__STORE__ENDPOINT_URL="https://s3.example.com:8443")
    (policy,) = of_kind(spec, "NetworkPolicy")
    body = policy.body["spec"]
    assert "ingress" not in body
    assert body["policyTypes"] == ["Ingress", "Egress"]
    open_ports = {p["port"] for rule in body["egress"] if "to" not in rule for p in rule["ports"]}
    assert open_ports == {53, 443, 8443}
