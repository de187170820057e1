"""The initiator's gateway decides: when a step starts, what it resumes from, that it is committed, how a job ends.

A state machine over the store without sockets: reports of members' gateways go in, orders and verdicts go into the
outbox. Every call is one transaction, so a decision is on disk before anybody is told, and a restart goes on where the
store ends. Clocks only end waiting; they never decide between two outcomes that parties could see differently.

    WAITED -> (a task of every member waits, all slots are held) -> CALLED
       ^    -> (all members PRESENT, equal digests) -> STARTED -> (all PREPARED) -> COMMITTED
       |------- a process lost: the attempt ends for all --------|
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import CONCLUDE, Job, Seat, checkpoint_words, member_of, member_pb, words
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import (
    PROPOSED,
    REOPENING,
    RUNNING,
    AttemptRow,
    CheckpointRow,
    GenerationRow,
    HeardRow,
    JobRow,
    MemberRow,
    StepRow,
    VerdictRow,
)
from federated_operators.gateway.rules import FINISHED, Readiness
from federated_operators.gateway.slots import NONE, Slots
from federated_operators.gateway.steps import COMMAND, Command, Steps, job_of, of_step
from federated_operators.gateway.store import Store
from federatedml.errors import PolicyError, ProtocolError
from federatedml.federation.party import Member

__all__ = ["COMMAND", "VERDICT", "Coordinator"]

DIGEST_BYTES = 64  # what a report may have stored here
LOST_BUDGET = 5  # processes that a step may lose before it fails
CALL_S = 15.0  # how long called members have to be present
VERDICT = "verdict"  # kind of letter
ENDED_BY_PERSON, ENDED_BY_TIMEOUT = "FED-450", "FED-451"
TASK_OVER = "FED-453"  # the scheduler gave the task up: no process of it comes again

Report = job_pb2.StepReport
Reply = job_pb2.StepReportReply
State = job_pb2.StepState
_NOT_STARTED = (State.WAITED, State.CALLED)


class Coordinator:
    """Decisions about the jobs that this party initiated.

    Args:
        clock: Unix seconds, for people and for timeouts.
        monotonic: seconds, for waiting.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._roster, self._clock, self._monotonic = store, roster, clock, monotonic
        self._steps = Steps(store, roster)
        self._slots = Slots(self._steps, monotonic)
        self._called: dict[tuple[object, ...], float] = {}  # since when members are called
        self.progress: dict[Seat, tuple[float, str]] = {}
        self.waits: dict[Seat, str] = {}  # what a member waits for, as its party said last
        self._on: Mapping[int, Callable[[Seat, StepRow, MemberRow, Report], None]] = {
            Report.WORKER_PRESENT: self._present,
            Report.WORKER_WAITS: self._waits,
            Report.LEASE_GRANTED: self._granted,
            Report.LEASE_WAITS: self._lease_waits,
            Report.WORKER_LOST: self._lost,
            Report.WORKER_FAILED: self._failed,
            Report.CHECKPOINT_STORED: self._checkpoint,
            Report.OUTPUTS_PREPARED: self._prepared,
        }

    def report(self, caller: str, report: Report) -> Reply:
        """Take a report of ``caller``'s gateway. Repeated and late ones change nothing."""
        if report.event == Report.RUN_ENDED:
            self._run_ended(caller, report)
            return Reply()
        seat = Seat.of(report.step, report.member)
        if seat.job.initiator != self._roster.party:
            raise PolicyError("FED-543", f"party {self._roster.party} does not coordinate jobs of {seat.job.initiator}")
        self._roster.check_seat(seat, caller)
        if report.event == Report.PROGRESS:
            if self.is_running(seat.job):
                self.progress[seat] = (report.progress, report.progress_text[:200])
            return Reply()
        if report.event not in self._on:
            raise ProtocolError("FED-342", f"event {report.event} of a report is not known")
        digests = (report.conf_digest, report.outputs_digest, report.checkpoint.digest, report.epoch)
        if max(map(len, digests)) > DIGEST_BYTES:
            raise ProtocolError(
                "FED-359", f"a digest, or epoch, has at most {DIGEST_BYTES} bytes, one of the report has more"
            )
        with self._store.transaction():
            if self._is_new(caller, report) and self.is_running(seat.job):
                step = self._steps.of(seat.job, seat.component)
                if report.step.generation == step.generation:
                    self._on[report.event](seat, step, self._steps.member(seat, step), report)
                    return Reply(common=self._common(step) if report.event == Report.CHECKPOINT_STORED else None)
        return Reply()

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
            self._forget(job)

    def is_running(self, job: Job) -> bool:
        """Whether the job has no verdict."""
        row = self._store.get(JobRow, **job.where)
        return row is not None and not self._store.get(VerdictRow, **job.where, generation=row.generation)

    def settle(self, job: Job) -> None:
        """Follow what a decided step, or a restart, means for the others: skip, end the job, or call what may run."""
        flow, states = self._steps.flow(job), self._steps.states(job)
        fresh = [name for name in states if states[name] in _NOT_STARTED]
        while skipped := [name for name in fresh if flow.readiness(name, states) is Readiness.SKIP]:
            for name in skipped:
                self._skip(self._steps.of(job, name), [up for up in flow.upstream[name] if states[up] in FINISHED])
                states[name] = State.SKIPPED
                fresh.remove(name)
        known = self._steps.known(job)
        for name, step in known.items():
            if step.state == State.FAILED and not flow.covered(name, states):
                failure = pb.Failure.FromString(step.failure)
                timed_out = failure.code == ENDED_BY_TIMEOUT
                return self.end(job, job_pb2.TIMED_OUT if timed_out else job_pb2.JOB_FAILED, failure)
        for name in known:
            if self.is_running(job):
                self._advance(self._steps.of(job, name))
        return None

    def tick(self) -> None:
        """End what has waited for too long: held slots, calls, steps and jobs."""
        for job, _ in self._open(RUNNING, REOPENING):
            with self._store.transaction():
                steps = self._steps.known(job)
                self._slots.tick([step for step in steps.values() if step.state == State.WAITED])
                for name in steps:
                    self._call_over(self._steps.of(job, name))
                for name in steps:
                    if self.is_running(job):
                        self._step_timeout(self._steps.of(job, name))
        for job, row in self._open(PROPOSED, RUNNING, REOPENING):
            with self._store.transaction():
                self._job_timeout(job, row)

    def recover(self) -> None:
        """After a restart: go on with every job."""
        for job, _ in self._open(RUNNING, REOPENING):
            with self._store.transaction():
                self.settle(job)

    def _open(self, *states: str) -> Iterator[tuple[Job, JobRow]]:
        """Jobs of this party in one of these states that have no verdict."""
        for state in states:
            for row in self._store.select(JobRow, initiator=self._roster.party, state=state):
                if self.is_running(Job(row.initiator, row.job_id)):
                    yield Job(row.initiator, row.job_id), row

    # Before a step starts

    def _present(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        self._steps.note(step, "present", str(seat.member))
        if step.state in FINISHED:
            return self._repeat(step, row)
        if step.state == State.STARTED:  # a process nobody knew to be lost
            self._lost(seat, step, row, Report())
            step = self._steps.of(seat.job, seat.component)
            row = self._steps.member(seat, step)
        self._store.put(
            replace(row, state=State.PRESENT, conf_digest=report.conf_digest, version=report.component_version[:64])
        )
        self._advance(step)
        return None

    def _repeat(self, step: StepRow, row: MemberRow) -> None:
        """Tell a late process what was decided."""
        actions: dict[int, int] = {
            State.COMMITTED: Command.COMMIT,
            State.FAILED: Command.FAIL,
            State.SKIPPED: Command.SKIP,
        }
        failure = pb.Failure.FromString(step.failure) if step.failure else None
        self._steps.order(step, row, actions[step.state], failure=failure)

    def _waits(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        if step.state not in _NOT_STARTED or row.state not in (State.ABSENT, State.PRESENT):
            return
        self._steps.note(step, "waits", str(seat.member))
        self._store.put(replace(row, state=State.WAITED))
        self._advance(step)

    def _granted(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        if step.state == State.WAITED:
            self.waits.pop(seat, None)
            self._slots.granted(step, row, report.lease)
            self._advance(step)

    def _lease_waits(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        self.waits[seat] = report.progress_text[:200]

    def _advance(self, step: StepRow) -> None:
        """Bring a step that has not started as far as it can go: ask for slots, call, start."""
        if step.state not in _NOT_STARTED:
            return
        flow, states = self._steps.flow(job_of(step)), self._steps.states(job_of(step))
        members = self._steps.members(step)
        if flow.readiness(step.component, states) is not Readiness.RUN or not self._all_there(step, members):
            return
        if not self._slots.complete(step):
            return
        members = self._steps.members(step)
        if all(row.state == State.PRESENT for row in members):
            self._start(step, members)
        elif step.state == State.WAITED:
            self._call(step, members)

    def _all_there(self, step: StepRow, members: Sequence[MemberRow]) -> bool:
        """Whether a task of every member is there. Who is called and does not come yet is given time."""
        return step.state == State.CALLED or all(row.state != State.ABSENT for row in members)

    def _call(self, step: StepRow, members: Sequence[MemberRow]) -> None:
        called = replace(step, state=State.CALLED)
        self._store.put(called)
        self._called[_name(step)] = self._monotonic()
        self._steps.note(step, "called")
        for row in members:
            if row.state == State.WAITED:
                self._steps.order(called, row, Command.CALL)

    def _call_over(self, step: StepRow) -> None:
        """A call that not all have followed: who did not come is absent until a task of it registers again."""
        since = self._called.setdefault(_name(step), self._monotonic()) if step.state == State.CALLED else None
        if since is None or self._monotonic() - since < CALL_S:
            return
        self._uncall(step, "not all came")
        for row in self._steps.members(step):
            if row.state == State.WAITED:
                self._store.put(replace(row, state=State.ABSENT))

    def _uncall(self, step: StepRow, why: str) -> None:
        self._called.pop(_name(step), None)
        self._slots.give_back(step)
        if step.state == State.CALLED:
            self._store.put(replace(step, state=State.WAITED))
            self._steps.note(step, "call ended", why)

    def _start(self, step: StepRow, members: Sequence[MemberRow]) -> None:
        difference = _difference(members)
        if difference:
            return self.end(job_of(step), job_pb2.JOB_FAILED, _failure("FED-344", difference, step.component))
        self._called.pop(_name(step), None)
        resume = self._steps.newest_common(step)
        attempt = replace(
            step, state=State.STARTED, attempt=step.attempt + 1, started_at=step.started_at or self._clock()
        )
        self._store.put(attempt)
        at = (resume.attempt, resume.round) if resume else (0, 0)
        self._store.put(AttemptRow(*_key(job_of(step)), step.component, step.generation, attempt.attempt, *at))
        self._steps.drop_newer(step, at)
        self._steps.note(attempt, "start", f"resume from {at}" if resume else "from the beginning")
        states = self._steps.states(job_of(step))
        committed = [name for name, state in states.items() if state == State.COMMITTED]
        for member in members:
            self._store.put(replace(member, state=State.STARTED))
            resume_from = self._steps.reference(member, at)
            self._steps.order(attempt, member, Command.START, resume=resume_from, committed=committed)
        return None

    # In an attempt

    def _checkpoint(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        stored = report.checkpoint
        if stored.attempt == step.attempt:
            key = (*_key(seat.job), seat.component, step.generation, row.member)
            self._store.put(CheckpointRow(*key, stored.attempt, stored.round, stored.digest))
            self._steps.note(step, "checkpoint known", f"{row.member} {checkpoint_words(stored)}")

    def _common(self, step: StepRow) -> job_pb2.CheckpointRef | None:
        """The checkpoint that no attempt goes back behind; what is older is forgotten, here and by who hears of it."""
        row = self._steps.newest_common(step)
        if row is None:
            return None
        self._steps.drop_older(step, row)
        return job_pb2.CheckpointRef(attempt=row.attempt, round=row.round)

    def _prepared(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        if step.state != State.STARTED or report.step.attempt != step.attempt:
            return
        self._store.put(replace(row, state=State.PREPARED, outputs_digest=report.outputs_digest))
        self._steps.note(step, "prepared", str(seat.member))
        if all(m.state == State.PREPARED for m in self._steps.members(step)):
            self._commit(step)

    def _commit(self, step: StepRow) -> None:
        done = replace(step, state=State.COMMITTED, ended_at=self._clock())
        self._store.put(done)
        self._steps.close_attempt(step, "committed")
        self._steps.note(step, "commit")
        for member in self._steps.set_members(step, state=State.COMMITTED, lease=NONE):
            self._steps.order(done, member, Command.COMMIT)
        if step.component == CONCLUDE:
            return self.end(job_of(step), job_pb2.SUCCEEDED)
        return self.settle(job_of(step))

    def _lost(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        if step.state in FINISHED or 0 < report.step.attempt < step.attempt:
            return
        step = replace(step, lost=step.lost + 1)
        self._store.put(step)
        self._store.put(replace(row, state=State.ABSENT))
        self._steps.note(step, "lost", str(seat.member))
        if step.lost > LOST_BUDGET:
            text = f"{step.lost} processes were lost, at most {LOST_BUDGET} may be"
            self._fail(step, _failure("FED-403", text, seat.component, seat.member))
        elif step.state == State.STARTED:
            self._end_attempt(step, _failure("FED-404", "its process was lost", seat.component, seat.member))
        else:
            self._uncall(step, f"{seat.member} was lost")

    def _end_attempt(self, step: StepRow, reason: pb.Failure) -> None:
        self._store.put(replace(step, state=State.WAITED))
        self._steps.close_attempt(step, words(reason))
        self._steps.note(step, "end attempt", words(reason))
        self._steps.set_members(step, state=State.ABSENT, lease=NONE)
        self._steps.order_all(step, Command.END_ATTEMPT, reason)

    def _failed(self, seat: Seat, step: StepRow, row: MemberRow, report: Report) -> None:
        code, message = report.failure.code[:16], report.failure.message[:2000]
        again = code != TASK_OVER  # whoever failed so can try once more
        attempt = step.attempt if step.state == State.STARTED else step.attempt + 1  # the one that did not end yet
        if step.state in FINISHED or (again and 0 < report.step.attempt < attempt):
            return
        failure = _failure(code, message, seat.component, seat.member)
        retries = self._roster.plan(seat.job).auto_retries.get(seat.component, 0)
        if again and step.state == State.STARTED and step.retried < retries:
            retried = replace(step, retried=step.retried + 1)
            self._store.put(retried)
            return self._end_attempt(retried, failure)
        self._store.put(replace(row, state=State.FAILED))
        return self._fail(step, failure)

    # Ends

    def _fail(self, step: StepRow, failure: pb.Failure) -> None:
        """A step failed for good; the job may survive it."""
        if step.state == State.STARTED:
            self._steps.close_attempt(step, words(failure))
            self._steps.note(step, "end attempt", words(failure))
        self._called.pop(_name(step), None)
        failed = replace(step, state=State.FAILED, ended_at=self._clock(), failure=failure.SerializeToString())
        self._store.put(failed)
        self._steps.note(step, "step failed", words(failure))
        self._steps.set_members(step, state=State.FAILED, lease=NONE)
        self._steps.order_all(failed, Command.FAIL, failure)
        if step.component == CONCLUDE:
            return self.end(job_of(step), job_pb2.JOB_FAILED, failure)
        return self.settle(job_of(step))

    def _skip(self, step: StepRow, because: Sequence[str]) -> None:
        reason = _failure("FED-408", f"skipped: {', '.join(because)} did not succeed", step.component)
        self._uncall(step, "skipped")
        skipped = replace(step, state=State.SKIPPED, ended_at=self._clock(), failure=reason.SerializeToString())
        self._store.put(skipped)
        self._steps.note(step, "skipped", reason.message)
        self._steps.set_members(step, state=State.SKIPPED, lease=NONE)
        self._steps.order_all(skipped, Command.SKIP, reason)

    def _step_timeout(self, step: StepRow) -> None:
        limit = self._roster.plan(job_of(step)).task_timeouts.get(step.component)
        if limit is None or not step.started_at or step.state in FINISHED:
            return
        if self._clock() - step.started_at > limit:
            self._fail(step, _failure(ENDED_BY_TIMEOUT, f"not done within its timeout of {limit:g} s", step.component))

    def _job_timeout(self, job: Job, row: JobRow) -> None:
        limit = self._roster.plan(job).timeout
        opened = self._store.get(GenerationRow, **job.where, generation=row.generation)
        if self._clock() - (opened.opened_at if opened else row.created_at) > limit:
            failure = _failure(ENDED_BY_TIMEOUT, f"the job was not done within its timeout of {limit:g} s", "")
            self.end(job, job_pb2.TIMED_OUT, failure)

    def _run_ended(self, caller: str, report: Report) -> None:
        job = Job.of(report.step.job)
        member = member_of(report.member)
        if job.initiator != self._roster.party or member.party != caller:
            raise PolicyError("FED-541", f"party {caller} may not end job {job.job_id} for {member}")
        if member not in self._roster.plan(job).members:
            raise PolicyError("FED-542", f"{member} is no member of job {job.job_id}")
        row = self._store.get(JobRow, **job.where)
        if row is None or report.step.generation != row.generation:
            return
        verdicts = {ENDED_BY_PERSON: job_pb2.CANCELLED, ENDED_BY_TIMEOUT: job_pb2.TIMED_OUT}
        verdict = verdicts.get(report.failure.code, job_pb2.JOB_FAILED)
        component = report.failure.component[:128]
        failure = _failure(report.failure.code[:16], report.failure.message[:2000], component, member)
        self.end(job, verdict, failure, by=f"party {caller}" if verdict == job_pb2.CANCELLED else "")

    # What the store says

    def _is_new(self, caller: str, report: Report) -> bool:
        heard = self._store.get(HeardRow, party=caller)
        if heard and report.serial <= heard.serial:
            if report.epoch == heard.epoch:
                return False
            text = (
                f"of party {caller}, whose database is a new one or an older copy: {report.serial}, not {heard.serial}"
            )
            self._store.event("reports count anew", party=self._roster.party, reason=text)
        self._store.put(HeardRow(caller, report.serial, report.epoch))
        return True

    def _forget(self, job: Job) -> None:
        """What is only remembered while the job runs."""
        self._slots.forget(job)
        for name in [name for name in self._called if name[:2] == _key(job)]:
            del self._called[name]
        for notes in (self.waits, self.progress):
            for seat in [seat for seat in notes if seat.job == job]:
                del notes[seat]


def _key(job: Job) -> tuple[str, str]:
    return job.initiator, job.job_id


def _name(step: StepRow) -> tuple[object, ...]:
    return tuple(of_step(step).values())


def _failure(code: str, message: str, component: str, member: Member | None = None) -> pb.Failure:
    return pb.Failure(code=code, message=message, component=component, member=member_pb(member) if member else None)


def _difference(members: Sequence[MemberRow]) -> str:
    """What two members disagree about, with both values; empty if nothing."""
    first, *others = sorted(members, key=lambda row: row.member)
    for other in others:
        if other.conf_digest != first.conf_digest:
            values = f"{first.member} {first.conf_digest.hex()[:16]}, {other.member} {other.conf_digest.hex()[:16]}"
            return f"the conf digests differ: {values}"
        if other.version != first.version:
            return f"the component versions differ: {first.member} {first.version}, {other.member} {other.version}"
    return ""
