"""The initiator's gateway decides: when a step starts, what it resumes from, that it is committed, how a job ends.

A state machine over the store without sockets or clocks: reports of members' gateways go in, orders and verdicts go
into the outbox. Every call is one transaction, so a decision is on disk before anybody is told, and a restart goes on
where the store ends.

    WAITED -> (all members PRESENT, equal digests) -> STARTED -> (all PREPARED) -> COMMITTED
       ^------------- a process lost: the attempt ends for all -------|
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import CONCLUDE, Job, Seat, checkpoint_words, member_of, member_pb, words
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import (
    AttemptRow,
    CheckpointRow,
    HeardRow,
    JobRow,
    MemberRow,
    OwnRow,
    StepRow,
    VerdictRow,
)
from federated_operators.gateway.store import Store
from federatedml.errors import PolicyError, ProtocolError
from federatedml.federation.party import Member

DIGEST_BYTES = 64  # what a report may have stored here
LOST_BUDGET = 5  # processes that a step may lose before its job fails
COMMAND, VERDICT = "command", "verdict"  # kinds of letters
ENDED_BY_PERSON, ENDED_BY_TIMEOUT = "FED-450", "FED-451"

Report = job_pb2.StepReport
State = job_pb2.StepState


class Coordinator:
    """Decisions about the jobs that this party initiated."""

    def __init__(self, store: Store, roster: Roster, clock: Callable[[], float] = time.time) -> None:
        self._store, self._roster, self._clock = store, roster, clock
        self.progress: dict[Seat, tuple[float, str]] = {}
        self._on: Mapping[int, Callable[[Seat, StepRow, MemberRow, Report], None]] = {
            Report.WORKER_PRESENT: self._present,
            Report.WORKER_LOST: self._lost,
            Report.WORKER_FAILED: self._failed,
            Report.CHECKPOINT_STORED: self._checkpoint,
            Report.OUTPUTS_PREPARED: self._prepared,
        }

    def report(self, caller: str, report: Report) -> None:
        """Take a report of ``caller``'s gateway. Repeated and late ones change nothing."""
        if report.event == Report.RUN_ENDED:
            return self._run_ended(caller, report)
        seat = Seat.of(report.step, report.member)
        if seat.job.initiator != self._roster.party:
            raise PolicyError("FED-543", f"party {self._roster.party} does not coordinate jobs of {seat.job.initiator}")
        self._roster.check_seat(seat, caller)
        if report.event == Report.PROGRESS:
            self.progress[seat] = (report.progress, report.progress_text[:200])
            return None
        if report.event not in self._on:
            raise ProtocolError("FED-342", f"event {report.event} of a report is not known")
        digests = (report.conf_digest, report.outputs_digest, report.checkpoint.digest)
        if max(map(len, digests)) > DIGEST_BYTES:
            raise ProtocolError("FED-359", f"a digest has at most {DIGEST_BYTES} bytes, one of the report has more")
        with self._store.transaction():
            if self._is_new(caller, report) and self._is_running(seat.job):
                step = self._step(seat)
                row = self._member(seat, step.generation)
                self._on[report.event](seat, step, row, report)
        return None

    def end(self, job: Job, verdict: int, failure: pb.Failure | None = None, by: str = "") -> None:
        """Give the verdict, once, and have it told to every party of the job."""
        with self._store.transaction():
            row = self._store.get(JobRow, **job.where)
            if row is None or self._store.get(VerdictRow, **job.where, generation=row.generation):
                return
            body = failure.SerializeToString() if failure else b""
            self._store.put(VerdictRow(*_key(job), row.generation, verdict, body, by))
            text = f"{job_pb2.Verdict.Name(verdict)} {words(failure) if failure else by}"
            self._store.event("verdict", job, generation=row.generation, party=self._roster.party, reason=text)
            notice = job_pb2.VerdictNotice(
                job=job.key(),
                generation=row.generation,
                verdict=verdict,  # type: ignore[arg-type]
                failure=failure,
                by=by,
            )
            for party in self._roster.parties(job):
                self._store.post(party, VERDICT, notice.SerializeToString())

    # Events of a step

    def _present(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        self._note(seat.job, "present", str(seat.member), step)
        if step.state == State.COMMITTED:
            return self._order(seat, step, job_pb2.StepCommand.COMMIT)
        if step.state == State.STARTED:  # a process nobody knew to be lost
            self._lost(seat, step, row, Report())
            step = self._step(seat)
        present = replace(
            row, state=State.PRESENT, conf_digest=report.conf_digest, version=report.component_version[:64]
        )
        self._store.put(present)
        members = self._members(seat, step)
        if step.state == State.WAITED and all(m.state == State.PRESENT for m in members):
            self._start(seat, step, members)
        return None

    def _start(self, seat: Seat, step: StepRow, members: Sequence[MemberRow]) -> None:
        difference = _difference(members)
        if difference:
            return self.end(seat.job, job_pb2.JOB_FAILED, _failure("FED-344", difference, seat.component))
        resume = self._newest_common(seat, step)
        attempt = replace(
            step, state=State.STARTED, attempt=step.attempt + 1, started_at=step.started_at or self._clock()
        )
        self._store.put(attempt)
        at = (resume.attempt, resume.round) if resume else (0, 0)
        self._store.put(AttemptRow(*_key(seat.job), seat.component, step.generation, attempt.attempt, *at))
        self._drop_newer(seat, step, at)
        self._note(seat.job, "start", f"resume from {at}" if resume else "from the beginning", attempt)
        for member in members:
            self._store.put(replace(member, state=State.STARTED))
            own = replace_member(seat, member)
            self._order(own, attempt, job_pb2.StepCommand.START, resume=self._reference(own, step, at))
        return None

    def _prepared(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        if step.state != State.STARTED or report.step.attempt != step.attempt:
            return
        self._store.put(replace(row, state=State.PREPARED, outputs_digest=report.outputs_digest))
        self._note(seat.job, "prepared", str(seat.member), step)
        if all(m.state == State.PREPARED for m in self._members(seat, step)):
            self._commit(seat, step)

    def _commit(self, seat: Seat, step: StepRow) -> None:
        done = replace(step, state=State.COMMITTED, ended_at=self._clock())
        self._store.put(done)
        self._close_attempt(seat, step, "committed")
        self._note(seat.job, "commit", "", step)
        for member in self._members(seat, step):
            self._store.put(replace(member, state=State.COMMITTED))
            self._order(replace_member(seat, member), done, job_pb2.StepCommand.COMMIT)
        if seat.component == CONCLUDE:
            self.end(seat.job, job_pb2.SUCCEEDED)

    def _lost(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        if step.state == State.COMMITTED or 0 < report.step.attempt < step.attempt:
            return
        step = replace(step, lost=step.lost + 1)
        self._store.put(step)
        self._store.put(replace(row, state=State.WAITED))
        self._note(seat.job, "lost", str(seat.member), step)
        if step.lost > LOST_BUDGET:
            text = f"{step.lost} processes were lost, at most {LOST_BUDGET} may be"
            failure = _failure("FED-403", text, seat.component, seat.member)
            return self.end(seat.job, job_pb2.JOB_FAILED, failure)
        if step.state == State.STARTED:
            self._end_attempt(seat, step)
        return None

    def _end_attempt(self, seat: Seat, step: StepRow) -> None:
        self._store.put(replace(step, state=State.WAITED))
        reason = _failure("FED-404", "its process was lost", seat.component, seat.member)
        self._close_attempt(seat, step, words(reason))
        self._note(seat.job, "end attempt", words(reason), step)
        for member in self._members(seat, step):
            self._store.put(replace(member, state=State.WAITED))
            self._order(replace_member(seat, member), step, job_pb2.StepCommand.END_ATTEMPT, failure=reason)

    def _failed(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        if 0 < report.step.attempt < step.attempt or step.state == State.COMMITTED:
            return
        self._store.put(replace(row, state=State.FAILED))
        self._store.put(replace(step, state=State.FAILED, ended_at=self._clock()))
        failure = pb.Failure(
            code=report.failure.code[:16],
            message=report.failure.message[:2000],
            member=member_pb(seat.member),
            component=seat.component,
        )
        self._note(seat.job, "step failed", words(failure), step)
        self.end(seat.job, job_pb2.JOB_FAILED, failure)

    def _checkpoint(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        stored = report.checkpoint
        if stored.attempt == step.attempt:
            self._store.put(
                CheckpointRow(
                    *_key(seat.job),
                    seat.component,
                    step.generation,
                    row.member,
                    stored.attempt,
                    stored.round,
                    stored.digest,
                )
            )
            self._note(seat.job, "checkpoint known", f"{row.member} {checkpoint_words(stored)}", step)

    def _run_ended(self, caller: str, report: Report) -> None:
        job = Job.of(report.step.job)
        member = member_of(report.member)
        if job.initiator != self._roster.party or member.party != caller:
            raise PolicyError("FED-541", f"party {caller} may not end job {job.job_id} for {member}")
        if member not in self._roster.plan(job).members:
            raise PolicyError("FED-542", f"{member} is no member of job {job.job_id}")
        verdicts = {ENDED_BY_PERSON: job_pb2.CANCELLED, ENDED_BY_TIMEOUT: job_pb2.TIMED_OUT}
        verdict = verdicts.get(report.failure.code, job_pb2.JOB_FAILED)
        component = report.failure.component[:128]
        failure = _failure(report.failure.code[:16], report.failure.message[:2000], component, member)
        self.end(job, verdict, failure, by=f"party {caller}" if verdict == job_pb2.CANCELLED else "")

    # What the store says

    def _is_new(self, caller: str, report: Report) -> bool:
        heard = self._store.get(HeardRow, party=caller)
        if heard and report.serial <= heard.serial:
            return False
        self._store.put(HeardRow(caller, report.serial))
        return True

    def _is_running(self, job: Job) -> bool:
        row = self._store.get(JobRow, **job.where)
        return row is not None and not self._store.get(VerdictRow, **job.where, generation=row.generation)

    def _step(self, seat: Seat) -> StepRow:
        job = self._store.get(JobRow, **seat.job.where)
        generation = job.generation if job else 1
        found = self._store.get(StepRow, **seat.job.where, component=seat.component, generation=generation)
        if found:
            return found
        step = StepRow(*_key(seat.job), seat.component, generation, State.WAITED)
        self._store.put(step)
        for member in self._roster.members(seat.job, seat.component):
            self._store.put(MemberRow(*_key(seat.job), seat.component, generation, str(member), State.WAITED))
        return step

    def _member(self, seat: Seat, generation: int) -> MemberRow:
        row = self._store.get(MemberRow, **seat.where, generation=generation)
        if row is None:
            raise ProtocolError("FED-341", f"{seat.member} is no member of {seat.component}")
        return row

    def _members(self, seat: Seat, step: StepRow) -> list[MemberRow]:
        where = {**seat.job.where, "component": seat.component, "generation": step.generation}
        return self._store.select(MemberRow, **where)

    def _newest_common(self, seat: Seat, step: StepRow) -> CheckpointRow | None:
        """The newest (attempt, round) that every member has stored: shares of two attempts do not belong together."""
        where = {**seat.job.where, "component": seat.component, "generation": step.generation}
        rows = self._store.select(CheckpointRow, **where)
        stored: dict[str, set[tuple[int, int]]] = {
            str(m): set() for m in self._roster.members(seat.job, seat.component)
        }
        for row in rows:
            stored[row.member].add((row.attempt, row.round))
        common = max(set.intersection(*stored.values()), default=None)
        return next((row for row in rows if (row.attempt, row.round) == common), None)

    def _drop_newer(self, seat: Seat, step: StepRow, keep: tuple[int, int]) -> None:
        where = {**seat.job.where, "component": seat.component, "generation": step.generation}
        for row in self._store.select(CheckpointRow, **where):
            if (row.attempt, row.round) != keep:
                self._store.delete(CheckpointRow, **where, member=row.member, attempt=row.attempt, round=row.round)

    def _reference(self, seat: Seat, step: StepRow, at: tuple[int, int]) -> job_pb2.CheckpointRef | None:
        row = self._store.get(CheckpointRow, **seat.where, generation=step.generation, attempt=at[0], round=at[1])
        return job_pb2.CheckpointRef(attempt=row.attempt, round=row.round, digest=row.digest) if row else None

    def _close_attempt(self, seat: Seat, step: StepRow, outcome: str) -> None:
        where = {**seat.job.where, "component": seat.component, "generation": step.generation}
        row = self._store.get(AttemptRow, **where, attempt=step.attempt)
        if row:
            self._store.put(replace(row, outcome=outcome))

    # What is told

    def _order(
        self,
        seat: Seat,
        step: StepRow,
        action: int,
        resume: job_pb2.CheckpointRef | None = None,
        failure: pb.Failure | None = None,
    ) -> None:
        members = self._roster.members(seat.job, seat.component) if action == job_pb2.StepCommand.START else ()
        command = job_pb2.StepCommand(
            member=member_pb(seat.member),
            step=seat.step(step.generation, step.attempt),
            action=action,  # type: ignore[arg-type]
            resume_from=resume,
            members=[member_pb(member) for member in members],
            failure=failure,
        )
        self._store.post(seat.member.party, COMMAND, command.SerializeToString())

    def _note(self, job: Job, event: str, reason: str, step: StepRow | None = None) -> None:
        at = (step.component, step.generation, step.attempt) if step else ("", 0, 0)
        self._store.event(event, job, *at, party=self._roster.party, reason=reason)


def replace_member(seat: Seat, row: MemberRow | OwnRow) -> Seat:
    """The seat of another member of the same step."""
    return replace(seat, member=Member.parse(row.member))


def _key(job: Job) -> tuple[str, str]:
    return job.initiator, job.job_id


def _failure(code: str, message: str, component: str, member: Member | None = None) -> pb.Failure:
    return pb.Failure(code=code, message=message, component=component, member=member_pb(member) if member else None)


def _difference(members: Sequence[MemberRow]) -> str:
    """What two members disagree about, with both values; empty if nothing."""
    first = members[0]
    for other in members[1:]:
        if other.conf_digest != first.conf_digest:
            values = f"{first.member} {first.conf_digest.hex()[:16]}, {other.member} {other.conf_digest.hex()[:16]}"
            return f"the conf digests differ: {values}"
        if other.version != first.version:
            return f"the component versions differ: {first.member} {first.version}, {other.member} {other.version}"
    return ""
