"""One job as all parties have it, and what is found wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from airfed_proto.v1 import job_pb2
from federated_operators.gateway.history.facts import Facts
from federated_operators.gateway.names import CONCLUDE, Job
from federated_operators.gateway.plan import JobPlan
from federated_operators.gateway.rows import (
    AttemptRow,
    CheckpointRow,
    LeaseRow,
    OutputRow,
    OwnRow,
    StepRow,
    VerdictRow,
)
from federated_operators.gateway.verdicts import STATES
from federatedml.federation.party import Member


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold.

    Attributes:
        parties: those whose databases do not fit.
        found: what they say, in words.
    """

    rule: str
    initiator: str
    job_id: str
    component: str
    parties: Sequence[str]
    found: str

    def __str__(self) -> str:
        where = [f"job {self.job_id}" if self.job_id else "", self.component, f"party {', '.join(self.parties)}"]
        return f"{self.rule}: {', '.join(part for part in where if part)}: {self.found}"


@dataclass(frozen=True)
class JobHistory:
    """A job in the databases that were read.

    Attributes:
        facts: party -> what it knows; empty where it knows nothing of the job.
        plan: the plan of any member: members and components are the same in all.
    """

    job: Job
    facts: Mapping[str, Facts]
    plan: JobPlan

    @property
    def coordinator(self) -> Facts | None:
        """The initiator's side, if its database was read."""
        return self.facts.get(self.job.initiator)

    @property
    def components(self) -> Mapping[str, Sequence[Member]]:
        """Component -> members; ``conclude`` is one, of all members."""
        return {**self.plan.all_steps, CONCLUDE: self.plan.members}

    @property
    def parties(self) -> list[str]:
        """Parties of the job whose databases were read."""
        return sorted({member.party for member in self.plan.members} & set(self.facts))

    def steps(self) -> Iterator[tuple[Facts, StepRow]]:
        """Steps as the coordinator has them."""
        if self.coordinator:
            for step in self.coordinator.all(StepRow):
                yield self.coordinator, step

    def seats(self, step: StepRow) -> Iterator[tuple[Member, Facts, OwnRow | None]]:
        """Members of a step whose databases were read, with their own side of it."""
        for member in self.components.get(step.component, ()):
            if member.party in self.facts:
                facts = self.facts[member.party]
                yield member, facts, facts.one(OwnRow, **of_step(step), member=str(member))

    def own(self) -> Iterator[tuple[Facts, OwnRow]]:
        """Own sides of steps at all parties."""
        for facts in self.facts.values():
            for row in facts.all(OwnRow):
                yield facts, row

    def finding(self, rule: str, found: str, *parties: str, component: str = "") -> Finding:
        """A finding about this job."""
        return Finding(rule, self.job.initiator, self.job.job_id, component, parties, found)


def of_step(row: StepRow | AttemptRow | CheckpointRow | OwnRow | OutputRow | LeaseRow) -> dict[str, object]:
    """Columns that name a step of a job."""
    return {"component": row.component, "generation": row.generation}


def verdict_name(row: VerdictRow) -> str:
    """A verdict as the coordinator's record names it."""
    return {int(value): name for name, value in job_pb2.Verdict.items()}.get(row.verdict, str(row.verdict))


def shown(row: VerdictRow) -> str:
    """The state of a job that has this verdict."""
    return {int(value): state for value, state in STATES.items()}.get(row.verdict, "unknown")
