"""The coordinator's rows of steps, and the orders that it gives to their members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2
from federated_operators.gateway.names import CONCLUDE, Job, Seat, member_pb
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import AttemptRow, CheckpointRow, MemberRow, StepRow
from federated_operators.gateway.rules import Flow
from federated_operators.gateway.store import Store
from federatedml.errors import ProtocolError
from federatedml.federation.party import Member

COMMAND = "command"  # kind of letter
Command = job_pb2.StepCommand
State = job_pb2.StepState


class Steps:
    """Steps of the jobs that this party coordinates, each in the newest generation that includes it."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self.store, self.roster = store, roster

    # Rows

    def of(self, job: Job, component: str) -> StepRow:
        """The step; its rows are made when it is first asked for."""
        generation = self.roster.generation(job, component)
        found = self.store.get(StepRow, **job.where, component=component, generation=generation)
        if found:
            return found
        members = self.roster.members(job, component)
        step = StepRow(job.initiator, job.job_id, component, generation, State.WAITED)
        self.store.put(step)
        for member in members:
            self.store.put(MemberRow(job.initiator, job.job_id, component, generation, str(member), State.ABSENT))
        return step

    def known(self, job: Job) -> dict[str, StepRow]:
        """Steps that have rows, by component."""
        rows = self.store.select(StepRow, **job.where)
        return {row.component: row for row in rows if row.generation == self.roster.generation(job, row.component)}

    def states(self, job: Job) -> dict[str, int]:
        """States of all components of a job, ``conclude`` left out."""
        known = self.known(job)
        components = self.roster.plan(job).all_steps
        return {name: known[name].state if name in known else State.WAITED for name in components}

    def flow(self, job: Job) -> Flow:
        """The graph of a job. ``conclude`` follows all, and covers no failure."""
        components = list(self.roster.plan(job).all_steps)
        upstream = {name: self.roster.upstream(job, name) for name in (*components, CONCLUDE)}
        return Flow(components, upstream, {name: self.roster.rule(job, name) for name in upstream})

    def members(self, step: StepRow) -> list[MemberRow]:
        """Members of a step, sorted by party: the order in which slots are asked for."""
        rows = self.store.select(MemberRow, **of_step(step))
        return sorted(rows, key=lambda row: (Member.parse(row.member).party, row.member))

    def member(self, seat: Seat, step: StepRow) -> MemberRow:
        """One member of a step; ``ProtocolError`` if it is none."""
        row = self.store.get(MemberRow, **seat.where, generation=step.generation)
        if row is None:
            raise ProtocolError("FED-341", f"{seat.member} is no member of {seat.component}")
        return row

    def set_members(self, step: StepRow, **values: object) -> list[MemberRow]:
        """All members of a step with these values, put."""
        changed = [replace(row, **values) for row in self.members(step)]  # type: ignore[arg-type]
        for row in changed:
            self.store.put(row)
        return changed

    # Checkpoints and attempts

    def newest_common(self, step: StepRow) -> CheckpointRow | None:
        """The newest (attempt, round) that every member has stored: shares of two attempts do not belong together."""
        rows = self.store.select(CheckpointRow, **of_step(step))
        stored: dict[str, set[tuple[int, int]]] = {row.member: set() for row in self.members(step)}
        for row in rows:
            stored[row.member].add((row.attempt, row.round))
        common = max(set.intersection(*stored.values()), default=None)
        return next((row for row in rows if (row.attempt, row.round) == common), None)

    def drop_newer(self, step: StepRow, keep: tuple[int, int]) -> None:
        """Forget all checkpoints but the one that the next attempt goes on from."""
        for row in self.store.select(CheckpointRow, **of_step(step)):
            if (row.attempt, row.round) != keep:
                self._drop(step, row)

    def drop_older(self, step: StepRow, common: CheckpointRow) -> None:
        """Forget checkpoints that no attempt will go on from."""
        for row in self.store.select(CheckpointRow, **of_step(step)):
            if (row.attempt, row.round) < (common.attempt, common.round):
                self._drop(step, row)

    def _drop(self, step: StepRow, row: CheckpointRow) -> None:
        at = {"member": row.member, "attempt": row.attempt, "round": row.round}
        self.store.delete(CheckpointRow, **of_step(step), **at)

    def reference(self, member: MemberRow, at: tuple[int, int]) -> job_pb2.CheckpointRef | None:
        """A member's own checkpoint at (attempt, round)."""
        where = {**of_step(member), "member": member.member, "attempt": at[0], "round": at[1]}
        row = self.store.get(CheckpointRow, **where)
        return job_pb2.CheckpointRef(attempt=row.attempt, round=row.round, digest=row.digest) if row else None

    def close_attempt(self, step: StepRow, outcome: str) -> None:
        """Write down how the attempt ended."""
        row = self.store.get(AttemptRow, **of_step(step), attempt=step.attempt)
        if row:
            self.store.put(replace(row, outcome=outcome))

    # Orders

    def order(
        self,
        step: StepRow,
        member: MemberRow,
        action: int,
        resume: job_pb2.CheckpointRef | None = None,
        failure: pb.Failure | None = None,
        committed: Sequence[str] = (),
    ) -> None:
        """Tell a member's gateway what to do."""
        seat = seat_of(member)
        starts = action == Command.START
        members = self.roster.members(seat.job, seat.component) if starts else ()
        command = Command(
            member=member_pb(seat.member),
            step=seat.step(step.generation, step.attempt),
            action=action,  # type: ignore[arg-type]
            resume_from=resume,
            members=[member_pb(member) for member in members],
            failure=failure,
            committed=committed,
            lease=member.lease_number if action in (Command.LEASE, Command.RELEASE) else 0,
        )
        self.store.post(seat.member.party, COMMAND, command.SerializeToString())

    def order_all(self, step: StepRow, action: int, failure: pb.Failure | None = None) -> None:
        """Tell every member."""
        for member in self.members(step):
            self.order(step, member, action, failure=failure)

    def note(self, step: StepRow, event: str, reason: str = "") -> None:
        """One line in the record of decisions."""
        at = (step.component, step.generation, step.attempt)
        self.store.event(event, job_of(step), *at, party=self.roster.party, reason=reason)


def job_of(row: StepRow | MemberRow) -> Job:
    """The job of a row."""
    return Job(row.initiator, row.job_id)


def seat_of(row: MemberRow) -> Seat:
    """The seat of a member."""
    return Seat(job_of(row), row.component, Member.parse(row.member))


def of_step(row: StepRow | MemberRow) -> dict[str, object]:
    """Columns that name a step."""
    return {**job_of(row).where, "component": row.component, "generation": row.generation}
