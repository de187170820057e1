"""This party's own side of a step: what its worker may do now, and what the coordinator must hear.

A state machine over the store, like the coordinator, and without sockets: calls of workers and orders of the
coordinator go in, frames for the worker come out, reports go into the outbox.

    ABSENT -> (a worker joins) -> PRESENT -> (START) -> STARTED -> (its outputs) -> PREPARED -> (COMMIT) -> COMMITTED
      ^  WAITED: its task waits without a process ---^      |
      |---- END_ATTEMPT, or the worker lost ----------------|
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.coordinator import TASK_OVER
from federated_operators.gateway.earlier import earlier_outputs
from federated_operators.gateway.leases import Leases
from federated_operators.gateway.names import Job, Seat, checkpoint_words, failure_pb, member_pb
from federated_operators.gateway.policy import DEFAULT_SLOTS
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import ACTIVE, UNKNOWN, JobRow, LeaseRow, OutputRow, OwnRow, VerdictRow
from federated_operators.gateway.rules import FINISHED
from federated_operators.gateway.store import Store
from federatedml.errors import PeerError, ProtocolError
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member

REPORT = "report"  # kind of letter
Frame = local_pb2.GatewayFrame
Report = job_pb2.StepReport
State = job_pb2.StepState
Command = job_pb2.StepCommand
_IN_ATTEMPT = (State.STARTED, State.PREPARED)
_DECISIONS = (Command.CALL, Command.COMMIT, Command.FAIL, Command.SKIP)
_BEGINNINGS = (Command.LEASE, Command.CALL, Command.START)  # for a job that has ended, or was given up, they are late


class OwnSteps:
    """Steps of this party's own members.

    Args:
        tell: gives a frame to the worker in a seat, if one is there; called after the transaction.
        wake: tells whoever waits for a seat to look again.
        slots: how many steps may run here at once.
        share: how many of these may be of one initiator's jobs; None: all.
    """

    def __init__(
        self,
        store: Store,
        roster: Roster,
        home: PartyHome,
        tell: Callable[[Seat, Frame], object],
        wake: Callable[[Seat], None] = lambda seat: None,
        slots: Callable[[], int] = lambda: DEFAULT_SLOTS,
        share: Callable[[str], int | None] = lambda initiator: None,
    ) -> None:
        self._store, self._roster, self._home, self._tell, self._wake = store, roster, home, tell, wake
        self.leases = Leases(store, slots, self._report_lease, share)
        self.progress: dict[Seat, tuple[float, str]] = {}
        self._running: set[tuple[Seat, int, int]] = set()  # attempts that messages belong to, as far as they were asked
        self._running_at = -1  # state of the store in which this was so
        self._orders = {
            Command.LEASE: self._lease,
            Command.RELEASE: self._release,
            Command.CALL: self._call,
            Command.START: self._start,
            Command.END_ATTEMPT: self._end_attempt,
            Command.COMMIT: self._commit,
            Command.FAIL: self._fail,
            Command.SKIP: self._skip,
        }

    # The worker speaks

    def join(self, seat: Seat, join: local_pb2.Join) -> None:
        """A worker took the seat: tell it where it stands, and the coordinator that it is there."""
        verdict = self._verdict(seat.job)
        frame: Frame | None
        with self._store.transaction():
            row = self._row(seat)
            if row.state == State.COMMITTED:
                frame = self._committed(seat, row, computed=join.attempt == row.attempt)
            elif row.failure:
                frame = _decided(row)
            elif verdict:
                frame = Frame(failed=_why(verdict))
            else:
                frame = self._seated(seat, row, join)
        if frame:
            self._tell(seat, frame)

    def check_join(self, seat: Seat, join: local_pb2.Join) -> None:
        """Whether the process may take the seat: a returning one only if no other sits there since."""
        self._roster.check_seat(seat, self._roster.party)
        row = self._row(seat)
        if join.attempt and row.ti_id and row.ti_id != join.task_instance_id:
            raise ProtocolError("FED-346", f"another process of {seat.component} took this one's place")

    def _seated(self, seat: Seat, row: OwnRow, join: local_pb2.Join) -> Frame | None:
        """The cases of a join: outputs wait for others, still in its attempt, START was missed, attempt over, new."""
        same = row.ti_id == join.task_instance_id
        joined = replace(row, ti_id=join.task_instance_id, conf_digest=join.conf_digest, version=join.component_version)
        self._store.put(joined)
        if row.state in (State.PREPARED, State.FAILED):
            return None  # the coordinator says what becomes of it
        if same and row.state == State.STARTED and join.attempt == row.attempt:
            return None
        if same and row.state == State.STARTED and not join.attempt:
            return Frame(start=self._start_frame(seat, row))
        if join.attempt:
            return Frame(end_attempt=local_pb2.EndAttempt(step=seat.step(join.generation, join.attempt)))
        if row.state in (State.STARTED, State.PRESENT) and not same:
            self._report(seat, row, Report.WORKER_LOST)
        if not (same and row.state == State.PRESENT):
            self._be_present(seat, joined)
        return None

    def rejoin(self, seat: Seat) -> None:
        """The same process is there again after its attempt ended."""
        with self._store.transaction():
            row = self._row(seat)
            if row.state == State.ABSENT:
                self._be_present(seat, row)
        if row.state == State.STARTED:  # it was called present by its reconnect, and started
            self._tell(seat, Frame(start=self._start_frame(seat, row)))

    def defer(self, seat: Seat) -> None:
        """The worker wants to go until its step is called; told so only if it may, which it may not near a start."""
        with self._store.transaction():
            row = self._row(seat)
            if row.state != State.PRESENT or self.leases.held(seat):
                return
            self._store.put(replace(row, state=State.WAITED, ti_id="", called=0))
            self._note(seat, "worker deferred", row)
            self._report(seat, row, Report.WORKER_WAITS)
        self._tell(seat, Frame(deferred=local_pb2.Deferred(reason=self.leases.why(seat) or "the other members")))

    def awaited(self, seat: Seat) -> bool:
        """A task waits for its step; whether it shall come now."""
        self._roster.check_seat(seat, self._roster.party)
        with self._store.transaction():
            row = self._row(seat)
            if row.state not in (State.ABSENT, State.WAITED) or row.called or self._verdict(seat.job):
                return True
            self._store.put(replace(row, state=State.WAITED))
            self._report(seat, row, Report.WORKER_WAITS)
        return False

    def prepared(self, seat: Seat, outputs: bytes) -> None:
        """The worker's outputs are stored and synced; repeated after a reconnect."""
        with self._store.transaction():
            row = self._row(seat)
            if row.state == State.STARTED:
                self._store.put(replace(row, state=State.PREPARED, outputs=outputs))
                self._note(seat, "outputs stored", row)
                self._report(seat, row, Report.OUTPUTS_PREPARED, outputs_digest=hashlib.sha256(outputs).digest())

    def checkpoint(self, seat: Seat, stored: job_pb2.CheckpointRef) -> None:
        """A checkpoint is on this party's disk."""
        with self._store.transaction():
            row = self._row(seat)
            if row.state == State.STARTED and stored.attempt == row.attempt:
                self._note(seat, "checkpoint stored", row, checkpoint_words(stored))
                self._report(seat, row, Report.CHECKPOINT_STORED, checkpoint=stored)

    def reported(self, report: Report, reply: job_pb2.StepReportReply) -> None:
        """The coordinator has answered: checkpoints that nobody goes back to are removed."""
        common, stored = reply.common, report.checkpoint
        if not reply.HasField("common") or (common.attempt, common.round) > (stored.attempt, stored.round):
            return
        seat = Seat.of(report.step, report.member)
        row = self._row(seat)
        if row.state in _IN_ATTEMPT and row.generation == report.step.generation:
            with contextlib.suppress(OSError):  # a start, or the commit, removes them at the latest
                CheckpointStore(self._attempt_dir(seat, row).parent).prune_older(common.attempt, common.round)

    def failed(self, seat: Seat, failure: pb.Failure) -> None:
        """The role function failed for good.

        What failed in an attempt that has ended is said too late, or again after a reconnect: it failed nothing. Only
        the scheduler's word that no process comes any more counts between two attempts.
        """
        with self._store.transaction():
            row = self._row(seat)
            if row.state == State.ABSENT and row.ended and row.ended == row.attempt and failure.code != TASK_OVER:
                return
            if row.state not in (State.COMMITTED, State.FAILED, State.SKIPPED):
                self._store.put(replace(row, state=State.FAILED))
                self._note(seat, "failed", row, failure.message)
                self._report(seat, row, Report.WORKER_FAILED, failure=failure)

    def lost(self, seat: Seat, ti_id: str) -> None:
        """The worker's stream closed without a farewell. Outputs that are stored need no worker."""
        with self._store.transaction():
            row = self._row(seat)
            if row.ti_id != ti_id or row.state not in (State.PRESENT, State.STARTED, State.ABSENT):
                return
            if row.state != State.ABSENT:
                self._report(seat, row, Report.WORKER_LOST)
                self._note(seat, "worker lost", row)
            self._store.put(replace(row, state=State.ABSENT, ti_id=""))

    def process(self, seat: Seat) -> str:
        """The process that fills the seat, by the store: after a restart it may not be back yet. Empty: none does."""
        return self._row(seat).ti_id

    def state(self, seat: Seat) -> int:
        """The state of an own step."""
        return self._row(seat).state

    def seated(self) -> list[tuple[Seat, str]]:
        """Seats that should have a worker, by the store, with its process."""
        rows = [row for row in self._store.select(OwnRow) if row.ti_id and row.state in (State.PRESENT, State.STARTED)]
        return [(_seat(row), row.ti_id) for row in rows if not self._verdict(Job(row.initiator, row.job_id))]

    # The coordinator orders

    def order(self, command: job_pb2.StepCommand) -> None:
        """Carry an order out. Repeated and late ones change nothing."""
        seat = Seat.of(command.step, command.member)
        self._roster.check_seat(seat, self._roster.party)
        if command.action not in self._orders:
            raise ProtocolError("FED-343", f"order {command.action} is not known")
        frame: Frame | None = None
        with self._store.transaction():
            row = self._row(seat)
            late = command.step.generation != row.generation
            if not late and (command.action not in _BEGINNINGS or self._job_state(seat.job) in ACTIVE):
                frame = self._orders[command.action](seat, row, command)
        if frame:
            self._tell(seat, frame)
        if command.action in _DECISIONS:
            self._wake(seat)

    def _lease(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> None:
        if row.state not in FINISHED and command.step.attempt > row.attempt:
            self.leases.ask(seat, row.generation, command.step.attempt, command.lease)

    def _release(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> None:
        self.leases.give_back(seat, command.lease)
        if row.called:
            self._store.put(replace(row, called=0))

    def _call(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> None:
        if row.state in (State.ABSENT, State.WAITED):
            self._store.put(replace(row, called=1))
            self._note(seat, "called", row)

    def _start(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> Frame | None:
        if command.step.attempt <= row.attempt or row.state == State.COMMITTED or row.failure:
            return None
        present = row.state == State.PRESENT and self.leases.held(seat)
        state = State.STARTED if present else row.state
        number, order = command.step.attempt, command.SerializeToString()
        started = replace(row, state=state, attempt=number, start=order, called=0)
        self._store.put(started)
        self._note(seat, "started" if present else "start without a worker", started)
        folder = self._attempt_dir(seat, started)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        CheckpointStore(folder.parent).prune(command.resume_from.attempt, command.resume_from.round)
        return Frame(start=self._start_frame(seat, started)) if present else None

    def _end_attempt(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> Frame | None:
        step = command.step
        if step.attempt <= row.ended or row.state == State.COMMITTED:
            return None
        in_it = row.state in (*_IN_ATTEMPT, State.FAILED) and step.attempt == row.attempt
        ended = replace(row, ended=step.attempt)
        if in_it:
            ended = replace(ended, state=State.ABSENT, outputs=b"")
        self._store.put(ended)
        self.leases.give_back(seat)
        self._note(seat, "attempt ended", ended, command.failure.message)
        return Frame(end_attempt=local_pb2.EndAttempt(step=step, failure=command.failure)) if in_it else None

    def _commit(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> Frame | None:
        if row.state != State.PREPARED or command.step.attempt != row.attempt:
            return None
        if self._job_state(seat.job) not in (*ACTIVE, UNKNOWN, "succeeded"):
            self._note(seat, "commit came too late", row)  # its files went with the verdict
            return None
        self._store.put(replace(row, state=State.COMMITTED))
        self._store.put(
            OutputRow(
                seat.job.initiator,
                seat.job.job_id,
                seat.component,
                row.member,
                row.generation,
                row.attempt,
                row.outputs,
            )
        )
        self.leases.give_back(seat)
        self._note(seat, "committed", row)
        return self._committed(seat, row, computed=True)

    def _fail(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> Frame | None:
        return self._decide(seat, row, State.FAILED, "step failed", command)

    def _skip(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> Frame | None:
        return self._decide(seat, row, State.SKIPPED, "skipped", command)

    def _decide(self, seat: Seat, row: OwnRow, state: int, event: str, command: job_pb2.StepCommand) -> Frame | None:
        if row.state == State.COMMITTED or row.failure:
            return None
        decided = replace(row, state=state, called=0, outputs=b"", failure=command.failure.SerializeToString())
        self._store.put(decided)
        self.leases.give_back(seat)
        self._note(seat, event, decided, command.failure.message)
        return _decided(decided)

    def dismiss(self, job: Job, failure: pb.Failure | None) -> None:
        """The job ended: without success nobody waits any longer."""
        for seat, row in self._current(job):
            if failure and row.state != State.COMMITTED:
                self._tell(seat, Frame(failed=failure))
            self._wake(seat)

    def suspend(self, job: Job, reason: pb.Failure) -> None:
        """The coordinator is silent: end the own attempts, free the slots, decide nothing.

        What is prepared stays so: it may be committed already.
        """
        rows = self._current(job)
        with self._store.transaction():
            for seat, row in rows:
                if row.state == State.STARTED:
                    self._store.put(replace(row, state=State.ABSENT, ended=row.attempt))
                    self._note(seat, "attempt ended", row, reason.message)
                elif row.state in (State.PRESENT, State.WAITED) and self.leases.asked(seat):
                    self._lose_lease(seat, row)
            self.leases.end(job)
        for seat, row in rows:
            if row.state == State.STARTED:
                step = seat.step(row.generation, row.attempt)
                self._tell(seat, Frame(end_attempt=local_pb2.EndAttempt(step=step, failure=reason)))

    def _lose_lease(self, seat: Seat, row: OwnRow) -> None:
        """The coordinator counts on a slot that is not kept: a start that is under way will find none."""
        self._report(seat, row, Report.WORKER_LOST)
        if row.state == State.WAITED:
            self._report(seat, row, Report.WORKER_WAITS)
        else:
            self._be_present(seat, row)

    # What a message may belong to

    def in_attempt(self, seat: Seat, step: pb.StepKey) -> bool:
        """Whether ``step`` is the attempt that the seat's worker is in.

        Raises:
            ProtocolError: it is an older one and must never be sent again.
        """
        name = (seat, step.generation, step.attempt)
        if self._running_at != self._store.changes:
            self._running, self._running_at = set(), self._store.changes
        if name in self._running:
            return True
        row = self._store.get(OwnRow, **seat.where, generation=step.generation)
        job = self._store.get(JobRow, **seat.job.where)
        newest = row.attempt if row else 0
        newest_generation = self._roster.generation(seat.job, seat.component) if job else 0
        over = job is None or self._verdict(seat.job) is not None or step.generation < newest_generation
        if over or step.attempt < newest or (row is not None and step.attempt <= row.ended):
            raise ProtocolError("FED-345", f"attempt {step.attempt} of {seat.component} is over")
        if row is None or step.attempt != newest or row.state not in _IN_ATTEMPT:
            return False
        self._running.add(name)
        return True

    # Rows and frames

    def _current(self, job: Job) -> list[tuple[Seat, OwnRow]]:
        """Own steps of a job, each in its newest generation."""
        rows = self._store.select(OwnRow, **job.where)
        return [(_seat(row), row) for row in rows if row.generation == self._roster.generation(job, row.component)]

    def _row(self, seat: Seat) -> OwnRow:
        job = self._store.get(JobRow, **seat.job.where)
        if job is None:
            raise ProtocolError("FED-340", f"job {seat.job.job_id} of {seat.job.initiator} is not known here")
        generation = self._roster.generation(seat.job, seat.component)
        row = self._store.get(OwnRow, **seat.where, generation=generation)
        names = (seat.job.initiator, seat.job.job_id, seat.component, generation, str(seat.member))
        return row or OwnRow(*names, State.ABSENT)

    def _be_present(self, seat: Seat, row: OwnRow) -> None:
        self._store.put(replace(row, state=State.PRESENT))
        self._note(seat, "worker present", row)
        self._report(seat, row, Report.WORKER_PRESENT, conf_digest=row.conf_digest, component_version=row.version)

    def _start_frame(self, seat: Seat, row: OwnRow) -> local_pb2.Start:
        command = job_pb2.StepCommand.FromString(row.start)
        outputs = self._store.select(OutputRow, **seat.job.where, member=str(seat.member))
        earlier = earlier_outputs(self._roster.plan(seat.job, seat.member), self._store)
        return local_pb2.Start(
            step=command.step,
            members=command.members,
            resume_from=command.resume_from if command.HasField("resume_from") else None,
            attempt_dir=str(self._attempt_dir(seat, row)),
            inputs=earlier | {row.component: row.outputs for row in outputs if row.component in command.committed},
        )

    def _attempt_dir(self, seat: Seat, row: OwnRow) -> Path:
        job_dir = self._home.job_dir(seat.job.initiator, seat.job.job_id)
        return job_dir / seat.component / str(seat.member.role) / f"g{row.generation}" / f"a{row.attempt}"

    def _committed(self, seat: Seat, row: OwnRow, computed: bool) -> Frame:
        step = seat.step(row.generation, row.attempt)
        return Frame(committed=local_pb2.Committed(step=step, outputs=row.outputs, computed=computed))

    def _job_state(self, job: Job) -> str:
        row = self._store.get(JobRow, **job.where)
        return row.state if row else ""

    def _verdict(self, job: Job) -> VerdictRow | None:
        row = self._store.get(JobRow, **job.where)
        return self._store.get(VerdictRow, **job.where, generation=row.generation) if row else None

    def _report(self, seat: Seat, row: OwnRow, event: int, **content: object) -> None:
        attempt = row.attempt if row.state in _IN_ATTEMPT else 0
        report = Report(
            member=member_pb(seat.member),
            step=seat.step(row.generation, attempt),
            event=event,  # type: ignore[arg-type]
            **content,  # type: ignore[arg-type]
        )
        self._store.post(seat.job.initiator, REPORT, report.SerializeToString())

    def _report_lease(self, row: LeaseRow, seat: Seat, event: int, text: str) -> None:
        report = Report(
            member=member_pb(seat.member),
            step=seat.step(row.generation, row.attempt),
            event=event,  # type: ignore[arg-type]
            lease=row.number,
            progress_text=text,
        )
        if event == Report.LEASE_GRANTED:
            where = (seat.job, seat.component, row.generation, row.attempt)
            self._store.event("slot taken", *where, party=self._roster.party, reason=f"{seat.member} {text}")
        self._store.post(seat.job.initiator, REPORT, report.SerializeToString())

    def _note(self, seat: Seat, event: str, row: OwnRow, reason: str = "") -> None:
        where = (seat.job, seat.component, row.generation, row.attempt)
        self._store.event(event, *where, party=self._roster.party, reason=f"{seat.member} {reason}".strip())


def _seat(row: OwnRow) -> Seat:
    return Seat(Job(row.initiator, row.job_id), row.component, Member.parse(row.member))


def _decided(row: OwnRow) -> Frame:
    """What a worker of a failed or skipped step is told."""
    failure = pb.Failure.FromString(row.failure)
    return Frame(skipped=failure) if row.state == State.SKIPPED else Frame(failed=failure)


def _why(verdict: VerdictRow) -> pb.Failure:
    """What a worker that still waits is told of a verdict."""
    if verdict.failure:
        return pb.Failure.FromString(verdict.failure)
    name = job_pb2.Verdict.Name(verdict.verdict).lower()
    return failure_pb(PeerError("FED-405", f"the job has ended: {name} {verdict.by}".strip()))
