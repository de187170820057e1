"""Gateways without sockets: state machines of three parties, whose letters and processes are moved one at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import job_pb2, local_pb2
from federated_operators.gateway import door
from federated_operators.gateway.coordinator import COMMAND, VERDICT, Coordinator
from federated_operators.gateway.history.check import check
from federated_operators.gateway.history.facts import read_party
from federated_operators.gateway.history.job import Finding
from federated_operators.gateway.names import CONCLUDE, Job, Seat
from federated_operators.gateway.overdue import Overdue
from federated_operators.gateway.own_steps import REPORT, OwnSteps
from federated_operators.gateway.peer_service import PeerService
from federated_operators.gateway.plan import JobPlan, dump_plan
from federated_operators.gateway.policy import default_policy
from federated_operators.gateway.reopening import REOPENED, Reopening
from federated_operators.gateway.reruns import REOPEN, Reruns
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.rows import JobRow, LeaseRow, MemberRow, PlanRow, ProposalRow, StepRow, VerdictRow
from federated_operators.gateway.runs import NoRuns, RunControl
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.store import Letter, Store
from federated_operators.gateway.verdicts import EFFECTS, RESTORED, Verdicts, no_hook
from federatedml.errors import FedError
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member
from tests.members import ARBITER, GUEST, HOST

JOB = Job(GUEST.party, "20260728120000000001")
HOSTS_JOB = Job(HOST.party, "20260728120000000002")
LR = "lr_0"
MEMBERS = (ARBITER, GUEST, HOST)
PARTIES = tuple(member.party for member in MEMBERS)
LANES = [(source, to) for source in PARTIES for to in (*PARTIES, EFFECTS)]
State = job_pb2.StepState


def plan(me: Member, job: Job = JOB, **content: Any) -> JobPlan:
    made = JobPlan(
        initiator=next(member for member in MEMBERS if member.party == job.initiator),
        job_id=job.job_id,
        pipeline="p",
        me=me,
        members=MEMBERS,
        model_key="model",
        digest="00",
        spec_digest="00",
        dag_id=f"p.{me}",
        steps={},
        all_steps={LR: MEMBERS},
        modules={LR: "HeteroLR"},
        dsl={},
        conf={},
        disclosure={},
    )
    return replace(made, **content)


class Gateway:
    """What one party's gateway is made of; only its store survives a restart."""

    def __init__(self, world: World, party: str) -> None:
        self.store = store = Store(world.root / party / "gateway.db")
        self.home = PartyHome(world.root / party)
        roster = Roster(store, party)
        self.own = OwnSteps(store, roster, self.home, world.tell, slots=lambda: world.slots)
        self.coordinator = Coordinator(store, roster, lambda: world.now, lambda: world.now)
        self.verdicts = Verdicts(store, roster, self.own, Seats(), self.home, world.control, no_hook)
        self.reopening = Reopening(
            store, roster, self.home, world.control, kept=lambda _, v: v not in world.pruned[party]
        )
        self.reruns = Reruns(store, roster, Direct(world), self.reopening)  # type: ignore[arg-type]
        store.event("opening", party=party)
        self.coordinator.recover()
        self.own.leases.regrant()


class Direct:
    """Calls that need an answer, without a socket."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def call(self, party: str, method: str, order: job_pb2.RerunOrder) -> job_pb2.RerunAnswer:
        assert method == "CheckRerun"
        await self._world.gateways[party].reopening.agree(order)
        return job_pb2.RerunAnswer()


class Doors:
    """Questions of one party to the others' services."""

    def __init__(self, world: World, party: str) -> None:
        self.world, self.party = world, party

    async def call(self, party: str, method: str, request: pb.JobKey) -> job_pb2.VerdictNotice:
        assert method == "AskVerdict"
        gateway = self.world.gateways[party]
        parts: list[Any] = [None, gateway.coordinator, gateway.own, gateway.verdicts, None, gateway.reopening, None]
        service = PeerService(gateway.store, Roster(gateway.store, party), *parts)
        token = door._CALLER.set(self.party)
        try:
            return self.changed(await service.AskVerdict(request, None))
        finally:
            door._CALLER.reset(token)

    def changed(self, answer: job_pb2.VerdictNotice) -> job_pb2.VerdictNotice:
        """What arrives of an answer."""
        return answer


class World:
    """Three parties without sockets.

    Args:
        jobs: that run; admitted everywhere in this order, unless ``admitted`` says otherwise.
        admitted: party -> jobs in its order.
        content: changes their plans.
    """

    def __init__(
        self,
        root: Path,
        jobs: Sequence[Job] = (JOB,),
        admitted: Mapping[str, Sequence[Job]] | None = None,
        slots: int = 4,
        control: RunControl | None = None,
        **content: Any,
    ) -> None:
        self.root, self.slots, self.now = root, slots, 1000.0
        self.control = control or NoRuns()
        self.gateways: dict[str, Gateway] = {}
        self.pruned: dict[str, list[str]] = defaultdict(list)  # party -> bundle versions that are gone
        self.told: dict[Member, list[local_pb2.GatewayFrame]] = {member: [] for member in MEMBERS}
        self.frames: dict[Seat, list[local_pb2.GatewayFrame]] = defaultdict(list)
        self.orders: dict[str, list[job_pb2.StepCommand]] = defaultdict(list)  # of any coordinator, by party
        self.done: dict[tuple[str, str], int] = {}
        for member in MEMBERS:
            self.open(member.party)
            self.gateways[member.party].home.policy.write_text(default_policy(member.party, PARTIES))
            for number, job in enumerate((admitted or {}).get(member.party, jobs)):
                self._admit(member, job, number, content)

    def _admit(self, member: Member, job: Job, number: int, content: Mapping[str, Any]) -> None:
        key = (job.initiator, job.job_id)
        store = self.stores[member.party]
        store.put(JobRow(*key, "p", b"", b"", "running", 1, self.now, admitted=number))
        store.put(PlanRow(*key, str(member), dump_plan(plan(member, job, **content))))
        for party in PARTIES if member.party == job.initiator else ():
            store.put(ProposalRow(*key, party, job_pb2.ENROLLED))

    @property
    def stores(self) -> dict[str, Store]:
        return {party: gateway.store for party, gateway in self.gateways.items()}

    @property
    def own(self) -> dict[str, OwnSteps]:
        return {party: gateway.own for party, gateway in self.gateways.items()}

    @property
    def coordinator(self) -> Coordinator:
        return self.gateways[GUEST.party].coordinator

    def tell(self, seat: Seat, frame: local_pb2.GatewayFrame) -> None:
        self.told[seat.member].append(frame)
        self.frames[seat].append(frame)

    def open(self, party: str) -> None:
        """(Re)start a gateway: only what is on disk survives, so letters that were taken may come again."""
        if party in self.gateways:
            self.gateways[party].store._db.close()
            self.done = {lane: at for lane, at in self.done.items() if lane[0] != party}
        self.gateways[party] = Gateway(self, party)

    def close(self) -> None:
        for store in self.stores.values():
            store.close()

    # Letters

    def deliver(self, source: str, to: str) -> bool:
        """The next letter of a lane; whether there was one."""
        letter = self.stores[source].next_letter(to, self.done.get((source, to), 0))
        if letter is None:
            return False
        self._take(source, to, letter)
        self.stores[source].answered(letter)
        self.done[source, to] = letter.id
        return True

    def _take(self, source: str, to: str, letter: Letter) -> None:
        gateway = self.gateways[source if to == EFFECTS else to]
        if letter.kind == REPORT:
            report = job_pb2.StepReport.FromString(letter.body)
            report.serial, report.epoch = letter.id, letter.epoch
            self.own[source].reported(report, gateway.coordinator.report(source, report))
        elif letter.kind == COMMAND:
            self.orders[to].append(job_pb2.StepCommand.FromString(letter.body))
            gateway.own.order(self.orders[to][-1])
        elif letter.kind == VERDICT:
            gateway.verdicts.adopt(job_pb2.VerdictNotice.FromString(letter.body))
        elif letter.kind == REOPEN:
            try:
                gateway.reopening.adopt(job_pb2.RerunOrder.FromString(letter.body))
            except FedError:
                order = job_pb2.RerunOrder.FromString(letter.body)
                self.gateways[source].coordinator.end(Job.of(order.job), job_pb2.JOB_FAILED, pb.Failure(code="FED-362"))
        elif letter.kind == REOPENED:
            asyncio.run(gateway.reopening.carry_out(job_pb2.RerunOrder.FromString(letter.body)))
        elif letter.kind == RESTORED:
            asyncio.run(gateway.verdicts.restore(job_pb2.VerdictNotice.FromString(letter.body)))
        elif letter.kind == EFFECTS:
            asyncio.run(gateway.verdicts.carry_out(job_pb2.VerdictNotice.FromString(letter.body)))

    def settle(self, without: Iterable[str] = ()) -> None:
        """Deliver everything, but what goes to or comes from the parties that cannot be reached."""
        cut = set(without)
        lanes = [(source, to) for source, to in LANES if source == to or not {source, to} & cut]
        while [lane for lane in lanes if self.deliver(*lane)]:
            pass

    def ask(self, party: str, doors: type[Doors] = Doors) -> None:
        """A party asks for the verdicts that it lacks."""
        gateway = self.gateways[party]
        answers: Any = doors(self, party)
        asking = Overdue(gateway.store, Roster(gateway.store, party), answers, gateway.verdicts, lambda: self.now)
        asyncio.run(asking.once())

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.tick()
        self.settle()

    def tick(self) -> None:
        for gateway in self.gateways.values():
            gateway.coordinator.tick()
            gateway.own.leases.regrant()

    # Workers

    def join(self, member: Member, ti_id: str, component: str = LR, attempt: int = 0, **content: Any) -> None:
        join = local_pb2.Join(
            task_instance_id=ti_id,
            attempt=attempt,
            generation=1 if attempt else 0,
            conf_digest=b"c",
            component_version="1",
        )
        join.MergeFrom(local_pb2.Join(**content))
        self.own[member.party].join(Seat(JOB, component, member), join)

    def prepared(self, member: Member, component: str = LR) -> None:
        self.own[member.party].prepared(Seat(JOB, component, member), str(member).encode())

    def failed(self, member: Member, component: str = LR, code: str = "FED-601") -> None:
        failure = pb.Failure(code=code, message="no", component=component)
        self.own[member.party].failed(Seat(JOB, component, member), failure)

    def lost(self, member: Member, ti_id: str, component: str = LR) -> None:
        self.own[member.party].lost(Seat(JOB, component, member), ti_id)

    def rejoin(self, *members: Member, component: str = LR) -> None:
        for member in members:
            self.own[member.party].rejoin(Seat(JOB, component, member))
        self.settle()

    def all_join(self, component: str = LR, ti_id: str = "t1") -> None:
        for member in MEMBERS:
            self.join(member, ti_id, component)
        self.settle()

    def all_do(self, component: str = LR, ti_id: str = "t1") -> None:
        """A step from the join to the commit."""
        self.all_join(component, ti_id)
        for member in MEMBERS:
            self.prepared(member, component)
        self.settle()

    def all_fail(self, component: str = LR) -> None:
        self.all_join(component)
        self.failed(HOST, component)
        self.settle()

    def defer(self, member: Member, component: str = LR) -> bool:
        """Whether the worker may go."""
        self.own[member.party].defer(Seat(JOB, component, member))
        return bool(self.told[member]) and self.last(member).HasField("deferred")

    def awaited(self, member: Member, component: str = LR) -> bool:
        """Whether the task that waits without a process shall come."""
        return self.own[member.party].awaited(Seat(JOB, component, member))

    def rerun(self, *components: str, downstream: bool = False, party: str = GUEST.party) -> job_pb2.RerunAnswer:
        order = job_pb2.RerunOrder(
            job=JOB.key(), components=components, downstream=downstream, by="ada", party=party, reason="why not"
        )
        if party in self.gateways and party != GUEST.party:
            self.gateways[party].reopening.wished(order)
        return asyncio.run(self.gateways[GUEST.party].reruns.ask(order))

    # What the stores say

    def step(self, component: str = LR, job: Job = JOB) -> StepRow:
        """The step in its newest generation."""
        return self.stores[job.initiator].select(StepRow, **job.where, component=component)[-1]

    def member(self, member: Member, component: str = LR) -> MemberRow:
        return self.stores[GUEST.party].select(MemberRow, **JOB.where, component=component, member=str(member))[-1]

    def verdict(self, job: Job = JOB) -> VerdictRow | None:
        """The newest."""
        return next(reversed(self.stores[job.initiator].select(VerdictRow, **job.where)), None)

    def job_state(self, party: str = GUEST.party, job: Job = JOB) -> str:
        row = self.stores[party].get(JobRow, **job.where)
        assert row is not None
        return row.state

    def leases(self, party: str) -> list[tuple[str, str, bool]]:
        """Job, component and whether it is held, of all leases at a party."""
        return [(row.job_id, row.component, bool(row.held)) for row in self.stores[party].select(LeaseRow)]

    def held(self, party: str) -> int:
        return sum(held for _, _, held in self.leases(party))

    def last(self, member: Member) -> local_pb2.GatewayFrame:
        return self.told[member][-1]

    def events(self, event: str, party: str = GUEST.party, job: Job = JOB) -> list[dict[str, Any]]:
        return [line for line in self.stores[party].events(job) if line["event"] == event]


def findings(root: Path, parties: Sequence[Member] = MEMBERS, **outside: Sequence[object]) -> list[Finding]:
    read = [read_party(root / member.party / "gateway.db", member.party) for member in parties]
    return check(read, **outside)  # type: ignore[arg-type]


class Process:
    """A worker as its session behaves: what it was told waits until it looks; it stores a checkpoint a round."""

    def __init__(self, world: World, seat: Seat, ti_id: str) -> None:
        self.world, self.seat, self.ti_id = world, seat, ti_id
        self.step = pb.StepKey()
        self.start = local_pb2.Start()
        self.next_round = 0
        self.over = False
        self.connect()

    def connect(self) -> None:
        """Take the seat, with the attempt that it is in; frames that were under way are lost."""
        self.world.frames[self.seat].clear()
        join = local_pb2.Join(
            task_instance_id=self.ti_id,
            generation=self.step.generation,
            attempt=self.step.attempt,
            conf_digest=b"c",
            component_version="1",
        )
        self.own.join(self.seat, join)

    @property
    def own(self) -> OwnSteps:
        return self.world.own[self.seat.member.party]

    def take(self) -> None:
        """Look at what it was told."""
        frames = self.world.frames[self.seat]
        while frames:
            frame = frames.pop(0)
            kind = frame.WhichOneof("frame")
            if kind == "start":
                self.step, self.start = frame.start.step, frame.start
                self.next_round = frame.start.resume_from.round + 1 if frame.start.HasField("resume_from") else 0
            elif kind == "end_attempt":
                self.step = pb.StepKey()
                self.own.rejoin(self.seat)
            elif kind in ("committed", "failed", "skipped", "deferred"):
                self.over = True

    def round(self) -> None:
        self.take()
        if self.step.attempt and not self.over and self.own.state(self.seat) == State.STARTED:
            files = CheckpointStore(Path(self.start.attempt_dir).parent)
            if self.start.HasField("resume_from"):  # read when the role function begins
                resume = self.start.resume_from
                files.load(resume.attempt, resume.round, resume.digest)
                self.start.ClearField("resume_from")
            state = {"party": int(self.seat.member.party), "attempt": self.step.attempt, "round": self.next_round}
            stored = files.store(self.step.attempt, self.next_round, state)
            reference = job_pb2.CheckpointRef(attempt=stored.attempt, round=stored.round, digest=stored.digest)
            self.own.checkpoint(self.seat, reference)
            self.next_round += 1

    def work(self) -> None:
        self.take()
        if self.step.attempt and not self.over:
            self.own.prepared(self.seat, f"{self.seat.member} g{self.step.generation}".encode())

    def fail(self) -> None:
        self.take()
        if self.step.attempt and not self.over:
            self.own.failed(self.seat, pb.Failure(code="FED-601", message="no", component=self.seat.component))


class Player:
    """Task processes of jobs at all their members, moved one action at a time."""

    def __init__(self, world: World, components: Sequence[str] = (LR, CONCLUDE), jobs: Sequence[Job] = (JOB,)) -> None:
        self.world = world
        roster = Roster(world.stores[GUEST.party], GUEST.party)
        steps = [(job, name) for job in jobs for name in components]
        self.seats = [Seat(job, name, member) for job, name in steps for member in roster.members(job, name)]
        self.processes: dict[Seat, Process] = {}
        self.waiting: set[Seat] = set()  # their tasks wait without a process
        self.number = 0

    def play(self, actions: Iterable[tuple[str, int]]) -> None:
        """(what, index of the seat or lane) each; what is not possible is left out."""
        for name, which in actions:
            if name == "deliver":
                self.world.deliver(*LANES[which % len(LANES)])
            elif name == "tick":
                self.world.now += 4.0
                self.world.tick()
            elif name == "restart":
                self.restart(PARTIES[which % len(PARTIES)])
            else:
                getattr(self, name)(self.seats[which % len(self.seats)])
            self._part()

    def _part(self) -> None:
        """Processes that were told something final leave."""
        self.processes = {seat: process for seat, process in self.processes.items() if not process.over}

    def come(self, seat: Seat) -> None:
        if seat not in self.processes and (seat not in self.waiting or self.world.own[seat.member.party].awaited(seat)):
            self.waiting.discard(seat)
            self.number += 1
            self.processes[seat] = Process(self.world, seat, f"t{self.number}")

    def defer(self, seat: Seat) -> None:
        process = self.processes.get(seat)
        if process:
            process.own.defer(seat)
            if any(frame.HasField("deferred") for frame in self.world.frames[seat]):
                self.waiting.add(seat)
            process.take()

    def work(self, seat: Seat) -> None:
        if seat in self.processes:
            self.processes[seat].work()

    def round(self, seat: Seat) -> None:
        if seat in self.processes:
            self.processes[seat].round()

    def fail(self, seat: Seat) -> None:
        if seat in self.processes:
            self.processes[seat].fail()

    def lose(self, seat: Seat) -> None:
        if seat in self.processes:
            process = self.processes.pop(seat)
            process.own.lost(seat, process.ti_id)

    def restart(self, party: str) -> None:
        self.world.open(party)
        for seat, process in self.processes.items():
            if seat.member.party == party:
                process.connect()

    def finish(self, rounds: int = 40, seconds: float = 1.0) -> None:
        """From here on nothing goes wrong: until nothing happens any more."""
        for _ in range(rounds):
            self.world.settle()
            for seat in self.seats:
                self.play([("come", self.seats.index(seat)), ("work", self.seats.index(seat))])
            self.world.later(seconds)
            if all(
                self.world.job_state(party, seat.job) not in ("running", "reopening")
                for seat in self.seats
                for party in PARTIES
            ):
                return
