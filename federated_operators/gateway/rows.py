"""Rows of the gateway's database: what is decided, one frozen value per table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

_JOB = ("initiator", "job_id")
_STEP = (*_JOB, "component", "generation")
_SEAT = (*_STEP, "member")


@dataclass(frozen=True)
class Row:
    """A row: fields are columns, ``KEY`` is the primary key."""

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]


# States of a job that has no verdict.
PROPOSED = "proposed"  # not all parties run it yet
RUNNING = "running"
REOPENING = "reopening"  # it runs again, the own tasks are not cleared yet
ACTIVE = (PROPOSED, REOPENING, RUNNING)  # that run or wait
UNKNOWN = "unknown"  # given up here by a person while the coordinator was silent: its verdict is still to come


@dataclass(frozen=True)
class JobRow(Row):
    """A job that this party took part in deciding. ``state``: proposed, running, reopening, unknown, or the verdict
    in lower case."""

    TABLE: ClassVar[str] = "jobs"
    KEY: ClassVar[tuple[str, ...]] = _JOB
    initiator: str
    job_id: str
    pipeline: str
    proposal: bytes  # the serialised Proposal
    digest: bytes
    state: str
    generation: int
    created_at: float  # Unix seconds, for people only, like every *_at
    ended_at: float = 0.0
    admitted: int = 0  # grows with every job that is admitted here: the order in which slots are given


@dataclass(frozen=True)
class GenerationRow(Row):
    """A rerun: the steps that it includes start anew, all others keep their outputs. Generation 1 has no row."""

    TABLE: ClassVar[str] = "generations"
    KEY: ClassVar[tuple[str, ...]] = (*_JOB, "generation")
    initiator: str
    job_id: str
    generation: int
    components: str  # names, each on a line
    opened_at: float
    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PlanRow(Row):
    """The plan of one of this party's own members."""

    TABLE: ClassVar[str] = "plans"
    KEY: ClassVar[tuple[str, ...]] = (*_JOB, "member")
    initiator: str
    job_id: str
    member: str
    plan: bytes


@dataclass(frozen=True)
class ProposalRow(Row):
    """A party's answer, at the coordinator; at another party its own."""

    TABLE: ClassVar[str] = "proposals"
    KEY: ClassVar[tuple[str, ...]] = (*_JOB, "party")
    initiator: str
    job_id: str
    party: str
    state: int
    failure: bytes = b""
    run_url: str = ""


@dataclass(frozen=True)
class StepRow(Row):
    """A step, at the coordinator."""

    TABLE: ClassVar[str] = "steps"
    KEY: ClassVar[tuple[str, ...]] = _STEP
    initiator: str
    job_id: str
    component: str
    generation: int
    state: int
    attempt: int = 0  # the newest that was started
    lost: int = 0  # processes lost so far
    retried: int = 0  # attempts that followed an error of the algorithm
    failure: bytes = b""  # why it failed or was skipped
    started_at: float = 0.0
    ended_at: float = 0.0


@dataclass(frozen=True)
class MemberRow(Row):
    """A member of a step, as its gateway reported, at the coordinator."""

    TABLE: ClassVar[str] = "member_steps"
    KEY: ClassVar[tuple[str, ...]] = _SEAT
    initiator: str
    job_id: str
    component: str
    generation: int
    member: str
    state: int
    conf_digest: bytes = b""
    version: str = ""
    outputs_digest: bytes = b""
    lease: int = 0  # of a slot at its party, see ``slots.py``
    lease_number: int = 0  # the newest that was asked for


@dataclass(frozen=True)
class AttemptRow(Row):
    """An attempt that the coordinator started."""

    TABLE: ClassVar[str] = "attempts"
    KEY: ClassVar[tuple[str, ...]] = (*_STEP, "attempt")
    initiator: str
    job_id: str
    component: str
    generation: int
    attempt: int
    resume_attempt: int = 0
    resume_round: int = 0
    outcome: str = ""  # committed, or why it ended


@dataclass(frozen=True)
class OwnRow(Row):
    """A step of one of this party's own members, at its gateway."""

    TABLE: ClassVar[str] = "own_steps"
    KEY: ClassVar[tuple[str, ...]] = _SEAT
    initiator: str
    job_id: str
    component: str
    generation: int
    member: str
    state: int
    attempt: int = 0  # the newest that was started here
    ended: int = 0  # the newest that was ended: messages up to it are refused
    ti_id: str = ""  # the process that fills the seat
    conf_digest: bytes = b""
    version: str = ""
    start: bytes = b""  # the START that was ordered, serialised
    outputs: bytes = b""  # as PREPARED said them
    called: int = 0  # a task that waits without a process shall come
    failure: bytes = b""  # why it failed or was skipped


@dataclass(frozen=True)
class LeaseRow(Row):
    """A member's slot at its own party, or its place in line for one."""

    TABLE: ClassVar[str] = "leases"
    KEY: ClassVar[tuple[str, ...]] = _SEAT
    initiator: str
    job_id: str
    component: str
    generation: int
    member: str
    attempt: int  # that it is for
    number: int  # the coordinator's, told back with the grant
    admitted: int  # of its job: who comes first
    held: int = 0  # 1: the slot is taken


@dataclass(frozen=True)
class CheckpointRow(Row):
    """A checkpoint that a member has stored."""

    TABLE: ClassVar[str] = "checkpoints"
    KEY: ClassVar[tuple[str, ...]] = (*_SEAT, "attempt", "round")
    initiator: str
    job_id: str
    component: str
    generation: int
    member: str
    attempt: int
    round: int
    digest: bytes


@dataclass(frozen=True)
class OutputRow(Row):
    """The current outputs of an own member: the row is the commit, no file moves."""

    TABLE: ClassVar[str] = "outputs"
    KEY: ClassVar[tuple[str, ...]] = (*_JOB, "component", "member")
    initiator: str
    job_id: str
    component: str
    member: str
    generation: int
    attempt: int
    outputs: bytes


@dataclass(frozen=True)
class RemovedRow(Row):
    """The outputs of an ended job, up to a generation, are removed here by the policy's ``retention_days``."""

    TABLE: ClassVar[str] = "removed"
    KEY: ClassVar[tuple[str, ...]] = _JOB
    initiator: str
    job_id: str
    generation: int
    removed_at: float
    done: int = 0  # 1: the files are gone


@dataclass(frozen=True)
class VerdictRow(Row):
    """The verdict of a generation: decided once by the coordinator, adopted by every other gateway."""

    TABLE: ClassVar[str] = "verdicts"
    KEY: ClassVar[tuple[str, ...]] = (*_JOB, "generation")
    initiator: str
    job_id: str
    generation: int
    verdict: int
    failure: bytes = b""
    by: str = ""


@dataclass(frozen=True)
class HeardRow(Row):
    """The newest report of a party's gateway: older ones are repetitions."""

    TABLE: ClassVar[str] = "heard"
    KEY: ClassVar[tuple[str, ...]] = ("party",)
    party: str
    serial: int
    epoch: bytes = b""  # of the serial; empty: of an older version


@dataclass(frozen=True)
class SeenRow(Row):
    """The newest record of the own scheduler about a run that was acted upon: older ones are of an earlier rerun."""

    TABLE: ClassVar[str] = "seen"
    KEY: ClassVar[tuple[str, ...]] = (*_JOB, "member")
    initiator: str
    job_id: str
    member: str
    event: int


TABLES: tuple[type[Row], ...] = (
    JobRow,
    GenerationRow,
    PlanRow,
    ProposalRow,
    StepRow,
    MemberRow,
    AttemptRow,
    OwnRow,
    LeaseRow,
    CheckpointRow,
    OutputRow,
    RemovedRow,
    VerdictRow,
    HeardRow,
    SeenRow,
)
