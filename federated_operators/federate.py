"""The first task of a job: ``federate`` at the initiator, ``enrol`` at a peer."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.names import JOB_ID, words
from federated_operators.gateway.plan import PREDICT, JobPlan, load_plan
from federated_operators.gateway.worker import GatewayClient
from federated_operators.outputs import write_file
from federated_operators.registry.rest import MlflowRest
from federated_operators.tracking.publish import publish_job
from federated_operators.tracking.runs import JobRuns
from federated_operators.trained import TrainedModels, completed
from federatedml.canonical import canonical_json
from federatedml.errors import DslError, FedError, ProtocolError
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member

log = logging.getLogger(__name__)
PATIENCE_S = 10.0  # for which a party that does not answer is waited for in a process
CHOSEN = "model_version"  # in the job's folder: what a conf that leaves the version out came to mean


@dataclass(frozen=True)
class Pipeline:
    """What a DAG of an initiator was built from. ``parties`` has the keys ``initiator`` and ``role`` of a conf."""

    name: str
    dsl: Mapping[str, Any]
    parties: Mapping[str, Any]
    spec_digest: str


@dataclass(frozen=True)
class Started:
    """A job that runs at all parties. ``mlflow_url`` is empty while MLflow does not answer."""

    plan: JobPlan
    mlflow_url: str


class AdmissionWaits(Exception):  # noqa: N818 - not an error
    """A party does not answer, and the gateway goes on asking: end this process and come when it is over."""


def conf_of(parties: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The conf of a job from the trigger form: ``A.B`` of the form is ``conf[A][B]``; the parties cannot be edited."""
    conf: dict[str, Any] = {"initiator": parties["initiator"], "role": parties["role"]}
    for name, value in params.items():
        group, dot, key = name.partition(".")
        if group in parties:
            raise DslError("FED-139", f"the form has {name!r}, but the parties are those of the pipeline")
        if not dot and not isinstance(value, Mapping):
            allowed = "objects: job_parameters, role_parameters, algorithm_parameters.COMPONENT"
            raise DslError("FED-139", f"the form has {name[:64]!r}, which is no object", f"allowed are {allowed}")
        if not dot:
            conf.setdefault(group, {}).update(value)
        else:
            conf.setdefault(group, {})[key] = value
    return conf


def check_job_id(run_id: str) -> str:
    """The run id, which must be a job id."""
    if not JOB_ID.fullmatch(run_id):
        raise DslError(
            "FED-136",
            f"run id {run_id[:60]!r} is not a job id",
            "a run id typed by hand is refused: leave it empty and the DAG's timetable names the run",
        )
    return run_id


def federate(home: PartyHome, pipeline: Pipeline, dag_id: str, job_id: str, params: Mapping[str, Any]) -> Started:
    """Propose the job to all parties and have it started everywhere. Asked again, it goes on where it was.

    Raises:
        AdmissionWaits: a party does not answer, or asks its people.
        FedError: a party refuses, or cannot start it; says which and why.
    """
    initiator = Member.parse(f"{pipeline.parties['initiator']['role']}_{pipeline.parties['initiator']['party_id']}")
    conf = conf_of(pipeline.parties, params)
    if conf.get("job_parameters", {}).get("job_type") == PREDICT:
        conf = _as_trained(home, initiator, check_job_id(job_id), conf)
    request = local_pb2.FederateRequest(
        job_id=check_job_id(job_id),
        pipeline=pipeline.name,
        dsl=canonical_json(pipeline.dsl),
        conf=canonical_json(conf),
        dag_id=dag_id,
        spec_digest=pipeline.spec_digest,
        patience=PATIENCE_S,
    )
    with GatewayClient(home.socket) as gateway:
        _follow(gateway.federate(request))
    return _started(home, initiator.party, job_id, initiator)


def _as_trained(home: PartyHome, initiator: Member, job_id: str, conf: Mapping[str, Any]) -> dict[str, Any]:
    """The conf of a predict job with all that its model decides; a repeated try takes the same version."""
    job = conf["job_parameters"]
    chosen = home.job_dir(initiator.party, job_id) / CHOSEN
    version = str(job.get("model_version") or (chosen.read_text() if chosen.exists() else ""))
    name = f"{initiator.role}#{initiator.party}#{job.get('model_id')}"
    trained = TrainedModels(home).find(name, version)
    if not version:
        write_file(chosen, trained.version.encode())
    log.info("predicts with %s", trained)
    return completed(conf, trained)


def enrol(home: PartyHome, initiator: str, member: Member, dag_id: str, job_id: str, spec_digest: str) -> Started:
    """Check that this run belongs to a job that this party agreed to.

    Raises:
        FedError: it does not; says where a job is started.
    """
    if not JOB_ID.fullmatch(job_id):
        where = f"a job of this pipeline is started by party {initiator}, in its own Airflow"
        raise DslError("FED-137", f"run {job_id[:60]!r} belongs to no job", where)
    request = local_pb2.EnrolRequest(initiator=initiator, job_id=job_id, dag_id=dag_id, spec_digest=spec_digest)
    with GatewayClient(home.socket) as gateway:
        _follow(gateway.enrol(request))
    return _started(home, initiator, job_id, member)


def read_plan(home: PartyHome, initiator: str, job_id: str, member: Member) -> JobPlan:
    """The plan that the gateway stored when the job was admitted."""
    path = home.job_dir(initiator, job_id) / str(member.role) / "plan.json"
    try:
        return load_plan(path.read_bytes())
    except FileNotFoundError:
        raise ProtocolError(
            "FED-390", f"job {job_id} of party {initiator} was not admitted for {member}", "its first task does that"
        ) from None


def _started(home: PartyHome, initiator: str, job_id: str, member: Member) -> Started:
    plan = read_plan(home, initiator, job_id, member)
    log.info("job %s of %s runs with %s", job_id, initiator, ", ".join(map(str, plan.members)))
    try:
        with MlflowRest(home.mlflow_url, tries=1, read_timeout=5.0) as rest:
            runs = JobRuns(rest, home, plan)
            publish_job(runs)
            return Started(plan, runs.url(runs.parent()))
    except FedError as error:
        log.warning("tracking waits: %s", error)  # conclude brings what is missing
        return Started(plan, "")


def _follow(news: Iterable[local_pb2.AdmissionNews]) -> None:
    """Tell what the parties answer until all have; raise what ended it, or ``AdmissionWaits``."""
    told: dict[str, tuple[int, str]] = {}
    last = None
    for last in news:
        for party, answer in sorted(last.answers.items()):
            line = (answer.state, words(answer.failure) if answer.failure.code else answer.run_url)
            if told.get(party) != line:
                told[party] = line
                state = job_pb2.ProposalState.Name(answer.state).lower().replace("_", " ")
                log.info("party %s: %s %s", party, state, line[1])
        if last.waits and not last.done:
            raise AdmissionWaits(last.waits)
    if last is None or not last.done:
        raise ProtocolError("FED-391", "the gateway ended the talk without an answer")
    if last.failure.code:
        raise FedError(last.failure.code, _text(last))


def _text(news: local_pb2.AdmissionNews) -> str:
    where = news.failure.member
    place = f"{where.role} {where.party_id}: ".lstrip() if where.party_id else ""
    return f"{place}{news.failure.message}"
