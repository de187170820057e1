"""``airfed job``, ``airfed plan``, ``airfed simulate``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airfed.console import readable_errors, say, show_json, show_rows

if TYPE_CHECKING:
    from airfed.demo_screen import Screen
    from airfed.job import Submitted
    from airfed.job_answer import Answer
    from federatedml.federation.home import PartyHome

job = typer.Typer(no_args_is_help=True)
Dsl = Annotated[Path, typer.Argument(help="The pipeline: NAME_dsl.json.")]
Conf = Annotated[Path, typer.Argument(help="Its parties, tables and parameters: NAME_conf.json.")]
Home = Annotated[Path, typer.Option(envvar="AIRFED_HOME", help="The party's home.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
Follow = Annotated[bool, typer.Option("--follow", help="Show progress until the verdict; exit code 0 or 1.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@job.command("submit")
def submit(
    dsl: Annotated[Path, typer.Argument(help="The pipeline: NAME_dsl.json. Left out with a predict job's conf.")],
    home: Home,
    conf: Annotated[Path | None, typer.Argument(help="Its parties, tables and parameters: NAME_conf.json.")] = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Drop a pipeline into a party that runs here, start a job, and say where each party watches it."""
    with readable_errors(as_json):
        from airfed.job import submit
        from airfed.predict import predict_pipeline, submit_prediction
        from federatedml.federation.home import PartyHome

        place = PartyHome(home)
        started = submit(place, dsl, conf) if conf else submit_prediction(place, predict_pipeline(place, dsl))
    say_started(place, started, follow, as_json)


def predict(
    conf: Annotated[Path, typer.Argument(help="job_type predict, the parties, model_id, and the new tables.")],
    home: Home,
    name: Annotated[str | None, typer.Option(help="Of the pipeline [default: the file's].")] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print the whole pipeline and start nothing.")] = False,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Predict with a registered model: start a job of its predict DSL, with the parameters of its training.

    Without model_version the conf means the version that is product now.
    """
    with readable_errors(as_json):
        from airfed.predict import predict_pipeline, submit_prediction
        from federatedml.federation.home import PartyHome

        place = PartyHome(home)
        pipeline = predict_pipeline(place, conf, name)
        if only_print:
            return show_json(pipeline.json())
        started = submit_prediction(place, pipeline)
    return say_started(place, started, follow, as_json)


def say_started(place: PartyHome, started: Submitted, follow: bool, as_json: bool) -> None:
    """Answer as soon as the parties have, or with ``follow`` when there is a verdict; exit code 1 if the job failed."""
    with readable_errors(as_json):
        from airfed.job_answer import answer
        from airfed.job_watch import answered

        found = answer(place, started, answered(place, started))
        if not as_json:
            _show_answer(found)
        if follow and not found.failed:
            from airfed.job_watch import follow as watch_on

            found = answer(place, started, watch_on(place, started, _screen(as_json)))
            if not as_json:
                say(found.line)
    if as_json:
        show_json(found.json())
    raise typer.Exit(1 if found.failed else 0)


@job.command("list")
def list_jobs(
    home: Home,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0: all.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The jobs that this party knows, newest first."""
    with readable_errors(as_json):
        from airfed.job import jobs
        from airfed.job_text import brief, row
        from federatedml.federation.home import PartyHome

        found, now = jobs(PartyHome(home), limit), time.time()
    if as_json:
        return show_json([brief(each, now) for each in found])
    return show_rows(
        ["job", "state", "pipeline", "initiator", "created", "took", ""], [row(each, now) for each in found]
    )


@job.command("show")
def show(job_id: JobId, home: Home, as_json: AsJson = False) -> None:
    """State of a job and of each component at every party, as the gateway of this party knows it."""
    with readable_errors(as_json):
        from airfed.job import as_json as plain
        from airfed.job import view
        from airfed.job_text import party_lines, span, steps, took, verdict
        from federated_operators.gateway.names import moment
        from federatedml.federation.home import PartyHome

        found = view(PartyHome(home), job_id)
    if as_json:
        return show_json(plain(found))
    say(verdict(found))
    begun = f"created {moment(found.created_at)}, took {span(took(found, time.time()))}, generation {found.generation}"
    say(f"pipeline {found.pipeline} of party {found.job.initiator}, {begun}")
    for line in party_lines(found):
        say(line)
    return show_rows(["component", "module", "member", "state", "generation", "attempt", "done", ""], steps(found))


@job.command("logs")
def logs(
    job_id: JobId,
    home: Home,
    component: Annotated[str, typer.Argument(metavar="[COMPONENT]", help="One task; all that began if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Logs of a job's tasks at this party, of their newest try."""
    with readable_errors(as_json):
        from airfed.job_logs import elsewhere, logs
        from airfed.job_text import log_lines
        from federatedml.federation.home import PartyHome

        place = PartyHome(home)
        found, others = logs(place, job_id, component), elsewhere(place, job_id)
    if as_json:
        return show_json({"logs": [each.json() for each in found], "elsewhere": others})
    for each in found:
        say(f"== {each.dag_id} {each.task}, try {each.attempt}: {each.state}")
        for line in [line for entry in each.entries for line in log_lines(entry)]:
            say(line)
    for party, url in others.items():
        say(f"== party {party} keeps its own logs: {url or 'ask its people'}")
    return None


@job.command("kill")
def kill(
    job_id: JobId,
    home: Home,
    reason: Annotated[str, typer.Option(help="Why; all parties read it.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a job at all parties and wait for the verdict; exit code 1 if it is another one than cancelled."""
    with readable_errors(as_json):
        from airfed.job_end import kill
        from airfed.job_text import brief, verdict
        from federatedml.federation.home import PartyHome

        found = kill(PartyHome(home), job_id, reason)
    if as_json:
        show_json(brief(found, time.time()))
    else:
        say(verdict(found))
    raise typer.Exit(0 if found.state == "cancelled" else 1)


@job.command("abandon")
def abandon(
    job_id: JobId,
    home: Home,
    reason: Annotated[str, typer.Option(help="Why; the initiator reads it when it is back.")] = "",
    as_json: AsJson = False,
) -> None:
    """Give up a job whose initiator does not answer: it ends here and is unknown until the verdict comes."""
    with readable_errors(as_json):
        from airfed.job_end import abandon
        from airfed.job_text import brief, verdict
        from federatedml.federation.home import PartyHome

        found = abandon(PartyHome(home), job_id, reason)
    return show_json(brief(found, time.time())) if as_json else say(verdict(found))


@job.command("rerun")
def rerun(
    job_id: JobId,
    home: Home,
    components: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMPONENT", help="Run these again; left out: all from the failure."),
    ] = None,
    downstream: Annotated[
        bool, typer.Option("--with-downstream/--only", help="And what follows from them, or they alone.")
    ] = True,
    reason: Annotated[str, typer.Option(help="Why; all parties read it.")] = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="Show progress until the verdict; exit code 0 or 1.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run components of a job again, in a new generation; the others keep what they have."""
    with readable_errors(as_json):
        from airfed.job_rerun import follow as watch_on
        from airfed.job_rerun import rerun
        from airfed.job_text import brief, verdict
        from federatedml.federation.home import PartyHome

        place = PartyHome(home)
        ordered = rerun(place, job_id, components or [], downstream, reason)
        if not as_json:
            say(ordered.line)
        last = watch_on(place, ordered, _screen(as_json)) if follow else None
        if last is not None and not as_json:
            say(verdict(last))
    if as_json:
        show_json({**(brief(last, time.time()) if last is not None else {}), **ordered.json()})
    raise typer.Exit(1 if last is not None and last.state != "succeeded" else 0)


@job.command("config")
def config(
    job_id: JobId,
    home: Home,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the files; else printed.")] = None,
    as_json: AsJson = False,
) -> None:
    """DSL and conf of a job, as all parties agreed to them."""
    with readable_errors(as_json):
        from airfed.job_files import stored_job
        from federatedml.federation.home import PartyHome

        found = stored_job(PartyHome(home), job_id)
        written = found.write(output) if output else None
    if written is None:
        return show_json(found.json())
    return show_json({"directory": str(written)}) if as_json else print(f"written to {written}")


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


def _screen(as_json: bool) -> Screen:
    """Where progress is shown: beside the document, not in it."""
    from rich.console import Console

    from airfed.demo_screen import Screen

    return Screen(Console(stderr=as_json))


def _show_answer(found: Answer) -> None:
    say(found.line)
    show_rows(["role", "party", "job_url", "model_id"], found.rows())
    for line in found.facts():
        say(line)
