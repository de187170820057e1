"""``airfed job``, ``airfed plan``, ``airfed simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airfed.console import readable_errors, show_json, show_rows

if TYPE_CHECKING:
    from airfed_proto.v1 import local_pb2

job = typer.Typer(no_args_is_help=True)
Dsl = Annotated[Path, typer.Argument(help="The pipeline: NAME_dsl.json.")]
Conf = Annotated[Path, typer.Argument(help="Its parties, tables and parameters: NAME_conf.json.")]
Home = Annotated[Path, typer.Option(help="The party's home.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@job.command("submit")
def submit(dsl: Dsl, conf: Conf, home: Home, as_json: AsJson = False) -> None:
    """Drop a pipeline into a party that runs here and start a job."""
    with readable_errors(as_json):
        from airfed.job import submit
        from federatedml.federation.home import PartyHome

        found = submit(PartyHome(home), dsl, conf)
    if as_json:
        return show_json({"job_id": found.job_id, "dag_id": found.dag_id})
    return print(f"job {found.job_id} of {found.dag_id}; airfed job show {found.job_id} --home {home}")


@job.command("show")
def show(job_id: Annotated[str, typer.Argument(help="The job's id.")], home: Home, as_json: AsJson = False) -> None:
    """State of a job and of each component at every party, as the gateway of this party knows it."""
    with readable_errors(as_json):
        from airfed.job import as_json as plain
        from airfed.job import view
        from federatedml.federation.home import PartyHome

        found = view(PartyHome(home), job_id)
    if as_json:
        return show_json(plain(found))
    print(f"job {found.job.job_id} of {found.job.initiator}, pipeline {found.pipeline}: {found.state}")
    if found.HasField("failure"):
        print(f"why: [{found.failure.code}] {found.failure.message}")
    return show_rows(["component", "module", "member", "state", "attempt", "done", ""], _rows(found))


def plan(dsl: Dsl, conf: Conf, as_json: AsJson = False) -> None:
    """What every party would run, with its parameters, and what would be told to whom. Runs nothing."""
    with readable_errors(as_json):
        from dags_generator.describe import plan_json, plan_text
        from dags_generator.parse import parse_paths

        spec = parse_paths(dsl, conf)
        if as_json:
            return show_json(plan_json(spec))
        return print(plan_text(spec), end="")


def simulate(
    dsl: Dsl,
    conf: Conf,
    data: Annotated[Path, typer.Option(help="Folder with PARTY_ID/NAMESPACE/NAME.parquet for every party.")],
    as_json: AsJson = False,
) -> None:
    """Run a whole pipeline in this process: all parties, no Airflow, no network."""
    with readable_errors(as_json):
        from dags_generator.simulate import simulate

        found = simulate(dsl, conf, data).summaries()
    if as_json:
        return show_json(found)
    rows = [
        [component, member, name, f"{value:g}"]
        for component, members in found.items()
        for member, summary in members.items()
        for name, value in summary.items()
    ]
    return show_rows(["component", "member", "result", ""], rows)


def _rows(found: local_pb2.JobView) -> list[list[str]]:
    from airfed_proto.v1 import job_pb2

    return [
        [
            step.component,
            step.module,
            f"{member.member.role}_{member.member.party_id}",
            job_pb2.StepState.Name(member.state),
            str(member.attempt),
            f"{member.progress:.0%}",
            member.text,
        ]
        for step in found.steps
        for member in step.members
    ]
