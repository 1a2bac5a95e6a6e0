"""`kitestring drift`: compare the cluster with its spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitestring.cli.common import kube_options, load_spec, note, spec_option
from kitestring.cli.report import destinations, report_options
from kitestring.model.evidence import Evidence

if TYPE_CHECKING:
    from kitestring.model.infra import InfraSnapshot


@click.command()
@spec_option
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Id or family of checks; may be repeated"
)
@click.option(
    "--fail-on",
    type=click.Choice(["warn", "fail"]),
    default="fail",
    show_default=True,
    help="The least severity that gives exit code 2",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice([one.value for one in Evidence]),
    help="Leave out the checks that need this evidence; may be repeated",
)
@click.option("--no-rows", is_flag=True, help="The same as --without rows")
@click.option(
    "--via",
    type=click.Choice(["auto", "segments", "api"]),
    default="auto",
    show_default=True,
    help="Where rows are read: the server's segment files, or its API",
)
@click.option(
    "--on",
    metavar="WHERE",
    help="What reads them: serial, pool (processes), ray, or a Ray cluster's address",
)
@kube_options
@click.option(
    "--pulumi-json",
    metavar="FILE",
    help="Infrastructure from what `pulumi preview --refresh --json` printed; - for stdin",
)
@click.option("--stack", metavar="NAME", help="Infrastructure from Pulumi: run that preview here")
@click.option("--program", default="infra", show_default=True, help="Pulumi program of --stack")
@click.option(
    "--baseline",
    "baseline_file",
    metavar="FILE",
    help="Findings that are in this file do not count",
)
@click.option(
    "--write-baseline",
    "baseline_out",
    metavar="FILE",
    help="Write what is found to this file, for --baseline",
)
@report_options
def drift(
    spec_file: str | None,
    only: tuple[str, ...],
    fail_on: str,
    without: tuple[str, ...],
    no_rows: bool,
    via: str,
    on: str | None,
    context: str | None,
    kubeconfig: str | None,
    pulumi_json: str | None,
    stack: str | None,
    program: str,
    baseline_file: str | None,
    baseline_out: str | None,
    outputs: tuple[str, ...],
    out: str | None,
) -> int:
    """Compare the cluster with its spec.

    Several formats come of one run: `-o sarif=drift.sarif -o text`. With `--write-baseline` the
    exit code is that of a comparison with the new baseline: 0, or 3 where a check could not tell.

    Exit codes: 0 as the spec says, 2 drift, 3 a check could not tell, 1 no comparison was possible.
    """
    from kitestring.drift import compare
    from kitestring.model.finding import Severity

    where = destinations(outputs, out)
    report = compare(
        load_spec(spec_file),
        baseline_file=Path(baseline_file) if baseline_file else None,
        baseline_out=Path(baseline_out) if baseline_out else None,
        only=only,
        fail_on=Severity(fail_on),
        without={Evidence(one) for one in without} | ({Evidence.ROWS} if no_rows else set()),
        infra=_from_pulumi(pulumi_json, stack, program),
        context=context,
        kubeconfig=kubeconfig,
        via=via,
        on=on,
    )
    where.write(report)
    if baseline_out:
        note(f"wrote {baseline_out}")
    return report.exit_code


def _from_pulumi(file: str | None, stack: str | None, program: str) -> InfraSnapshot | None:
    if file is None and stack is None:
        return None
    from kitestring.provision.engine import infra_from_pulumi

    return infra_from_pulumi(file, stack, program)
