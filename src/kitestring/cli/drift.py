"""`kitestring drift`: compare the cluster with its spec."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kitestring.cli.common import kube_options, load_spec, note, output_option, spec_option
from kitestring.model.evidence import Evidence

if TYPE_CHECKING:
    from kitestring.model.infra import InfraSnapshot
    from kitestring.model.report import DriftReport

FORMATS = ("text", "json", "markdown", "html")


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
@kube_options
@click.option(
    "--pulumi-json",
    metavar="FILE",
    help="Infrastructure from what `pulumi preview --refresh --json` printed; - for stdin",
)
@click.option("--stack", metavar="NAME", help="Infrastructure from Pulumi: run that preview here")
@click.option("--program", default="infra", show_default=True, help="Pulumi program of --stack")
@output_option(*FORMATS)
@click.option("--out", metavar="FILE", help="Write the report to a file instead of stdout")
def drift(
    spec_file: str | None,
    only: tuple[str, ...],
    fail_on: str,
    without: tuple[str, ...],
    no_rows: bool,
    context: str | None,
    kubeconfig: str | None,
    pulumi_json: str | None,
    stack: str | None,
    program: str,
    output: str,
    out: str | None,
) -> int:
    """Compare the cluster with its spec.

    Exit codes: 0 as the spec says, 2 drift, 3 a check could not tell, 1 no comparison was possible.
    """
    from kitestring.drift import detect
    from kitestring.model.finding import Severity

    report = detect(
        load_spec(spec_file),
        only=only,
        fail_on=Severity(fail_on),
        without={Evidence(one) for one in without} | ({Evidence.ROWS} if no_rows else set()),
        infra=_from_pulumi(pulumi_json, stack, program),
        context=context,
        kubeconfig=kubeconfig,
    )
    show(report, output, out)
    return report.exit_code


def _from_pulumi(file: str | None, stack: str | None, program: str) -> InfraSnapshot | None:
    if file is None and stack is None:
        return None
    from kitestring.provision.engine import infra_from_pulumi

    return infra_from_pulumi(file, stack, program)


def show(report: DriftReport, output: str, out: str | None = None) -> None:
    """The report on stdout, or in a file that is there whole or not at all."""
    from kitestring.render.formats import rendered_drift, write_drift

    if out is None:
        write_drift(report, output, sys.stdout)
    else:
        from kitestring.clients.textfile import write_whole

        write_whole(Path(out), rendered_drift(report, output))
        note(f"wrote {out}")
