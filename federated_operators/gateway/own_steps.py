"""This party's own side of a step: what its worker may do now, and what the coordinator must hear.

A state machine over the store, like the coordinator, and without sockets: calls of workers and orders of the
coordinator go in, frames for the worker come out, reports go into the outbox.

    PRESENT -> (START) -> STARTED -> (the worker's outputs) -> PREPARED -> (COMMIT) -> COMMITTED
       ^---- END_ATTEMPT, or the worker lost: WAITED until a worker is there again ----|
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway.names import Job, Seat, checkpoint_words, failure_pb, member_pb
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, OutputRow, OwnRow, VerdictRow
from federated_operators.gateway.store import Store
from federatedml.errors import PeerError, ProtocolError
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member

REPORT = "report"  # kind of letter
Frame = local_pb2.GatewayFrame
Report = job_pb2.StepReport
State = job_pb2.StepState
_IN_ATTEMPT = (State.STARTED, State.PREPARED)


class OwnSteps:
    """Steps of this party's own members.

    Args:
        tell: gives a frame to the worker in a seat, if one is there; called after the transaction.
    """

    def __init__(self, store: Store, roster: Roster, home: PartyHome, tell: Callable[[Seat, Frame], object]) -> None:
        self._store, self._roster, self._home, self._tell = store, roster, home, tell
        self.progress: dict[Seat, tuple[float, str]] = {}

    # The worker speaks

    def join(self, seat: Seat, join: local_pb2.Join) -> None:
        """A worker took the seat: tell it where it stands, and the coordinator that it is there."""
        verdict = self._verdict(seat.job)
        frame: Frame | None
        with self._store.transaction():
            row = self._row(seat)
            if row.state == State.COMMITTED:
                frame = self._committed(seat, row, computed=join.attempt == row.attempt)
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
        if row.state == State.PREPARED or (same and row.state == State.STARTED and join.attempt == row.attempt):
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
            if row.state == State.WAITED:
                self._be_present(seat, row)
        if row.state == State.STARTED:  # it was called present by its reconnect, and started
            self._tell(seat, Frame(start=self._start_frame(seat, row)))

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

    def failed(self, seat: Seat, failure: pb.Failure) -> None:
        """The role function failed for good."""
        with self._store.transaction():
            row = self._row(seat)
            if row.state not in (State.COMMITTED, State.FAILED):
                self._store.put(replace(row, state=State.FAILED))
                self._note(seat, "failed", row, failure.message)
                self._report(seat, row, Report.WORKER_FAILED, failure=failure)

    def lost(self, seat: Seat, ti_id: str) -> None:
        """The worker's stream closed without a farewell. Outputs that are stored need no worker."""
        with self._store.transaction():
            row = self._row(seat)
            if row.ti_id != ti_id or row.state not in (State.PRESENT, State.STARTED, State.WAITED):
                return
            if row.state != State.WAITED:
                self._report(seat, row, Report.WORKER_LOST)
                self._note(seat, "worker lost", row)
            self._store.put(replace(row, state=State.WAITED, ti_id=""))

    def seated(self) -> list[tuple[Seat, str]]:
        """Seats that should have a worker, by the store, with its process."""
        rows = [row for row in self._store.select(OwnRow) if row.ti_id and row.state in (State.PRESENT, State.STARTED)]
        return [(_seat(row), row.ti_id) for row in rows if not self._verdict(Job(row.initiator, row.job_id))]

    # The coordinator orders

    def order(self, command: job_pb2.StepCommand) -> None:
        """Carry an order out. Repeated and late ones change nothing."""
        seat = Seat.of(command.step, command.member)
        self._roster.check_seat(seat, self._roster.party)
        orders = {
            job_pb2.StepCommand.START: self._start,
            job_pb2.StepCommand.END_ATTEMPT: self._end_attempt,
            job_pb2.StepCommand.COMMIT: self._commit,
        }
        if command.action not in orders:
            raise ProtocolError("FED-343", f"order {command.action} is not known")
        with self._store.transaction():
            frame = orders[command.action](seat, self._row(seat), command)
        if frame:
            self._tell(seat, frame)

    def _start(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> Frame | None:
        if command.step.attempt <= row.attempt or row.state == State.COMMITTED:
            return None
        present = row.state == State.PRESENT
        state = State.STARTED if present else row.state
        started = replace(row, state=state, attempt=command.step.attempt, start=command.SerializeToString())
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
        ended = replace(row, ended=step.attempt)
        if step.attempt == row.attempt and row.state in _IN_ATTEMPT:
            ended = replace(ended, state=State.WAITED, outputs=b"")
        self._store.put(ended)
        self._note(seat, "attempt ended", ended, command.failure.message)
        in_it = row.state in _IN_ATTEMPT and step.attempt == row.attempt
        return Frame(end_attempt=local_pb2.EndAttempt(step=step, failure=command.failure)) if in_it else None

    def _commit(self, seat: Seat, row: OwnRow, command: job_pb2.StepCommand) -> Frame | None:
        if row.state != State.PREPARED or command.step.attempt != row.attempt:
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
        self._note(seat, "committed", row)
        return self._committed(seat, row, computed=True)

    def dismiss(self, job: Job, failure: pb.Failure) -> None:
        """The job ended without success: nobody waits any longer."""
        for row in self._store.select(OwnRow, **job.where):
            if row.state != State.COMMITTED:
                self._tell(_seat(row), Frame(failed=failure))

    # What a message may belong to

    def in_attempt(self, seat: Seat, step: pb.StepKey) -> bool:
        """Whether ``step`` is the attempt that the seat's worker is in.

        Raises:
            ProtocolError: it is an older one and must never be sent again.
        """
        row = self._store.get(OwnRow, **seat.where, generation=step.generation)
        job = self._store.get(JobRow, **seat.job.where)
        newest = row.attempt if row else 0
        over = job is None or self._verdict(seat.job) is not None or step.generation < job.generation
        if over or step.attempt < newest or (row is not None and step.attempt <= row.ended):
            raise ProtocolError("FED-345", f"attempt {step.attempt} of {seat.component} is over")
        return row is not None and step.attempt == newest and row.state in _IN_ATTEMPT

    # Rows and frames

    def _row(self, seat: Seat) -> OwnRow:
        job = self._store.get(JobRow, **seat.job.where)
        if job is None:
            raise ProtocolError("FED-340", f"job {seat.job.job_id} of {seat.job.initiator} is not known here")
        row = self._store.get(OwnRow, **seat.where, generation=job.generation)
        names = (seat.job.initiator, seat.job.job_id, seat.component, job.generation, str(seat.member))
        return row or OwnRow(*names, State.WAITED)

    def _be_present(self, seat: Seat, row: OwnRow) -> None:
        self._store.put(replace(row, state=State.PRESENT))
        self._note(seat, "worker present", row)
        self._report(seat, row, Report.WORKER_PRESENT, conf_digest=row.conf_digest, component_version=row.version)

    def _start_frame(self, seat: Seat, row: OwnRow) -> local_pb2.Start:
        command = job_pb2.StepCommand.FromString(row.start)
        outputs = self._store.select(OutputRow, **seat.job.where, member=str(seat.member))
        return local_pb2.Start(
            step=command.step,
            members=command.members,
            resume_from=command.resume_from if command.HasField("resume_from") else None,
            attempt_dir=str(self._attempt_dir(seat, row)),
            inputs={output.component: output.outputs for output in outputs},
        )

    def _attempt_dir(self, seat: Seat, row: OwnRow) -> Path:
        job_dir = self._home.job_dir(seat.job.initiator, seat.job.job_id)
        return job_dir / seat.component / str(seat.member.role) / f"g{row.generation}" / f"a{row.attempt}"

    def _committed(self, seat: Seat, row: OwnRow, computed: bool) -> Frame:
        step = seat.step(row.generation, row.attempt)
        return Frame(committed=local_pb2.Committed(step=step, outputs=row.outputs, computed=computed))

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

    def _note(self, seat: Seat, event: str, row: OwnRow, reason: str = "") -> None:
        where = (seat.job, seat.component, row.generation, row.attempt)
        self._store.event(event, *where, party=self._roster.party, reason=f"{seat.member} {reason}".strip())


def _seat(row: OwnRow) -> Seat:
    return Seat(Job(row.initiator, row.job_id), row.component, Member.parse(row.member))


def _why(verdict: VerdictRow) -> pb.Failure:
    """What a worker that still waits is told of a verdict."""
    if verdict.failure:
        return pb.Failure.FromString(verdict.failure)
    name = job_pb2.Verdict.Name(verdict.verdict).lower()
    return failure_pb(PeerError("FED-405", f"the job has ended: {name} {verdict.by}".strip()))
