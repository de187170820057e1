"""Names of jobs, steps and members on the wire and in the store, checked when they come in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federatedml.errors import FedError, ProtocolError
from federatedml.federation.party import PARTY_ID, Member

# FATE's form: %Y%m%d%H%M%S%f and a counter. A name that a person typed does not look like it.
JOB_ID = re.compile(r"20[0-9]{18,24}")
COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
CONCLUDE = "conclude"


@dataclass(frozen=True, order=True)
class Job:
    """A job: two initiators may draw the same id."""

    initiator: str
    job_id: str

    @property
    def where(self) -> dict[str, str]:
        """Its columns in the store."""
        return {"initiator": self.initiator, "job_id": self.job_id}

    def key(self) -> pb.JobKey:
        """Its key on the wire."""
        return pb.JobKey(initiator=self.initiator, job_id=self.job_id)

    @classmethod
    def of(cls, key: pb.JobKey) -> Job:
        """The job of a key that came in; ``ProtocolError`` unless both parts look like what they are."""
        if not PARTY_ID.fullmatch(key.initiator):
            raise ProtocolError("FED-330", f"{key.initiator[:64]!r} is not a party id")
        if not JOB_ID.fullmatch(key.job_id):
            raise ProtocolError(
                "FED-331", f"{key.job_id[:64]!r} is not a job id", "20 to 26 digits: date, time, counter"
            )
        return cls(key.initiator, key.job_id)


@dataclass(frozen=True, order=True)
class Seat:
    """A member's place in a step: what one worker fills."""

    job: Job
    component: str
    member: Member

    @property
    def where(self) -> dict[str, str]:
        """Its columns in the store."""
        return {**self.job.where, "component": self.component, "member": str(self.member)}

    def step(self, generation: int = 0, attempt: int = 0) -> pb.StepKey:
        """The key of an attempt of its step."""
        return pb.StepKey(job=self.job.key(), component=self.component, generation=generation, attempt=attempt)

    @classmethod
    def of(cls, step: pb.StepKey, member: pb.Member) -> Seat:
        """The seat of keys that came in; ``ProtocolError`` for names that are none."""
        if not COMPONENT.fullmatch(step.component):
            raise ProtocolError("FED-332", f"{step.component[:64]!r} is not a component's name")
        return cls(Job.of(step.job), step.component, member_of(member))


def member_of(member: pb.Member) -> Member:
    """The member of a message that came in."""
    try:
        return Member.parse(f"{member.role}_{member.party_id}")
    except FedError as error:
        raise ProtocolError("FED-333", f"{member.role[:16]!r}, {member.party_id[:64]!r} is not a member") from error


def member_pb(member: Member) -> pb.Member:
    """A member on the wire."""
    return pb.Member(role=str(member.role), party_id=member.party)


def failure_pb(error: FedError, member: Member | None = None, component: str = "") -> pb.Failure:
    """An error in words that may cross the border."""
    text = str(error).removeprefix(f"[{error.code}] ")
    return pb.Failure(code=error.code, message=text, member=member_pb(member) if member else None, component=component)


def words(failure: pb.Failure) -> str:
    """A failure as one line for people."""
    where = f"{failure.member.role} {failure.member.party_id}".strip()
    parts = [part for part in (where, failure.component) if part]
    return ": ".join(
        [", ".join(parts), f"[{failure.code}] {failure.message}"] if parts else [f"[{failure.code}] {failure.message}"]
    )


def checkpoint_words(stored: job_pb2.CheckpointRef) -> str:
    """A checkpoint in the record of decisions; its attempt is a column there."""
    return f"round {stored.round} {stored.digest.hex()}"


def moment(seconds: float) -> str | None:
    """Unix seconds as ISO 8601 in UTC; None for 0, which is never."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}" if seconds else None
