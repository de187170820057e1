"""The answer to a submission: where each party watches the job, and what its model will be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airfed.job import Submitted
from airfed.job_text import OPEN, answers, silent_lines
from airfed_proto.v1 import local_pb2
from dags_generator.spec import PipelineSpec, dag_id
from federated_operators.federate import CHOSEN
from federated_operators.gateway.names import moment, words
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member, party_model_id

STORED = ("job_dsl.json", "job_runtime_conf.json")  # in the job's folder, once the job is admitted


@dataclass(frozen=True)
class Place:
    """A member of the job. ``job_url`` is empty while its party has not given one."""

    member: Member
    job_url: str
    model_id: str


@dataclass(frozen=True)
class Answer:
    """A job that was submitted.

    Attributes:
        places: its members, by role and party in the order of the conf.
        failure: why it has ended already; empty otherwise.
        answers: party -> its answer to the proposal, since when it is silent or pending, and why.
        silent: lines about the parties that do not answer.
        model_version: of the model that it makes, or predicts with; empty if its parties have yet to say which.
        dsl_path, conf_path: what was stored of it; empty if it was not admitted.
        created_at: Unix seconds.
    """

    job_id: str
    dag_id: str
    state: str
    failure: str
    places: Sequence[Place]
    dsl_path: str
    conf_path: str
    created_at: float
    model_version: str
    answers: Mapping[str, Mapping[str, str | None]]
    silent: Sequence[str]

    @property
    def failed(self) -> bool:
        """Whether it is over, without success."""
        return self.state not in (*OPEN, "succeeded")

    @property
    def line(self) -> str:
        """What became of it so far."""
        why = f": {self.failure}" if self.failure else ""
        return f"job {self.job_id} of {self.dag_id}: {self.state or 'submitted'}{why}"

    def json(self) -> dict[str, Any]:
        """As FATE answers: URLs and model ids as lists by role, one entry per party."""
        roles = dict.fromkeys(str(place.member.role) for place in self.places)
        by_role = {role: [place for place in self.places if place.member.role == role] for role in roles}
        return {
            "job_id": self.job_id,
            "dag_id": self.dag_id,
            "state": self.state,
            "failure": self.failure or None,
            "job_url": {role: [place.job_url or None for place in places] for role, places in by_role.items()},
            "model_id": {role: [place.model_id for place in places] for role, places in by_role.items()},
            "model_version": self.model_version,
            "job_dsl_path": self.dsl_path or None,
            "job_runtime_conf_path": self.conf_path or None,
            "created_at": moment(self.created_at),
            "answers": self.answers,
        }

    def rows(self) -> list[list[str]]:
        """For a table: role, party, job_url, model_id."""
        return [[str(p.member.role), p.member.party, p.job_url or "-", p.model_id] for p in self.places]

    def facts(self) -> list[str]:
        """What is below the table."""
        stored = [f"stored as {self.dsl_path} and {self.conf_path}"] if self.dsl_path else []
        made = f"model_version {self.model_version or '-'}, created {moment(self.created_at) or '-'}"
        return [made, *stored, *self.silent]


def answer(home: PartyHome, job: Submitted, found: local_pb2.JobView) -> Answer:
    """What is known of a job that was submitted at this party."""
    folder = home.job_dir(job.spec.parties.initiator.party, job.job_id)
    paths = [str(folder / name) if (folder / name).exists() else "" for name in STORED]
    return Answer(
        job.job_id,
        job.dag_id,
        found.state,
        words(found.failure) if found.HasField("failure") else "",
        [_place(home, job, found, member) for member in _members(job.spec)],
        paths[0],
        paths[1],
        found.created_at,
        _model_version(home, job),
        answers(found),
        silent_lines(found),
    )


def _model_version(home: PartyHome, job: Submitted) -> str:
    source = job.spec.job.source
    if source is None:
        return job.job_id
    chosen = home.job_dir(job.spec.parties.initiator.party, job.job_id) / CHOSEN
    return source.model_version or (chosen.read_text() if chosen.exists() else "")


def _members(spec: PipelineSpec) -> list[Member]:
    return [Member(role, party) for role, parties in spec.parties.role.items() for party in parties]


def _place(home: PartyHome, job: Submitted, found: local_pb2.JobView, member: Member) -> Place:
    """A role of this party is watched at its own DAG, one of a peer where the peer says."""
    spec = job.spec
    url = found.parties[member.party].run_url if member.party in found.parties else ""
    if member.party == home.config.party_id:
        url = home.run_url(dag_id(spec.pipeline, spec.parties.initiator, member), job.job_id)
    return Place(member, url, party_model_id(member, spec.parties.members, spec.model_key))
