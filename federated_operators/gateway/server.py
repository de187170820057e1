"""The gateway's process: all parts put together, two sockets opened, served until SIGTERM."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from airfed_proto.v1 import job_pb2, local_pb2_grpc
from federated_operators.gateway.abandon import Abandonment
from federated_operators.gateway.admission import Admission
from federated_operators.gateway.agreement import Agreement
from federated_operators.gateway.airflow_client import AirflowClient
from federated_operators.gateway.coordinator import COMMAND, VERDICT, Coordinator
from federated_operators.gateway.courier import Courier
from federated_operators.gateway.door import FRAME_BYTES, SERVER, VerifyCaller, server_credentials
from federated_operators.gateway.limits import Limits
from federated_operators.gateway.local_service import LocalService
from federated_operators.gateway.notes import WaitNotes
from federated_operators.gateway.overdue import Overdue
from federated_operators.gateway.own_steps import REPORT, OwnSteps
from federated_operators.gateway.peer_service import PeerService
from federated_operators.gateway.peers import Peers
from federated_operators.gateway.plan import JobAcceptor
from federated_operators.gateway.policy import load_policy
from federated_operators.gateway.progress import Progress
from federated_operators.gateway.reconcile import Reconciler
from federated_operators.gateway.refusals import Refusals
from federated_operators.gateway.relay import Relay
from federated_operators.gateway.reopening import REOPENED, Reopening
from federated_operators.gateway.reruns import REOPEN, Reruns
from federated_operators.gateway.retention import Retention, outputs_gone
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.runs import RunControl
from federated_operators.gateway.seats import Seats
from federated_operators.gateway.show import Show
from federated_operators.gateway.silence import Silence
from federated_operators.gateway.store import Letter, Store
from federated_operators.gateway.throttle import Throttle
from federated_operators.gateway.traffic import Traffic
from federated_operators.gateway.unanswered import Unanswered
from federated_operators.gateway.undelivered import Undelivered
from federated_operators.gateway.verdicts import EFFECTS, RESTORED, TRACKING, VerdictHook, Verdicts, no_hook
from federated_operators.gateway.waiting import Waiting
from federated_operators.gateway.worker_door import WorkerDoor
from federatedml.errors import PolicyError, ProtocolError
from federatedml.federation.home import PartyHome

TICK_S = 0.5
RETURN_S = 5.0  # how long after a restart workers have to come back before they are called lost
DRAIN_S = 3.0
CALLS_A_SECOND, CALLS_AT_ONCE = 300.0, 600.0  # of one peer, messages of workers aside
ASK_RERUN_S = 60.0  # the coordinator asks all parties before it answers
LOCAL = [("grpc.max_receive_message_length", FRAME_BYTES), ("grpc.max_send_message_length", FRAME_BYTES)]
log = logging.getLogger(__name__)


class Gateway:
    """One party's gateway."""

    def __init__(self, home: PartyHome, acceptor: JobAcceptor, control: RunControl, hook: VerdictHook) -> None:
        self._home, self._control = home, control
        self._party = home.config.party_id
        load_policy(home.policy)  # a gateway without rules does not start
        self._store = Store(home.gateway_db)
        self._roster = Roster(self._store, self._party)
        limits, traffic = Limits.of(home.config.transport), Traffic()
        self._seats = Seats(limits)
        self._waiting = Waiting()
        slots, share = partial(_slots, home), partial(_share, home)
        self._own = OwnSteps(self._store, self._roster, home, self._seats.tell, self._waiting.wake, slots, share)
        self._coordinator = Coordinator(self._store, self._roster)
        self._peers = Peers(home)
        self._verdicts = Verdicts(self._store, self._roster, self._own, self._seats, home, control, hook)
        gone = partial(outputs_gone, self._store)
        self._reopening = Reopening(self._store, self._roster, home, control, gone, acceptor.installed)
        self._reruns = Reruns(self._store, self._roster, self._peers, self._reopening)
        self._refusals = Refusals(self._store)
        self._throttle = Throttle(CALLS_A_SECOND, CALLS_AT_ONCE)
        self._relay = Relay(
            self._roster, self._own, self._seats, self._peers, limits, traffic, self._refusals, self._throttle
        )
        self._agreement = Agreement(self._store, self._roster, home, acceptor, control)
        self._progress = Progress(self._own.progress, self._tell_progress)
        self._worker_door = WorkerDoor(
            self._roster,
            self._agreement,
            self._own,
            self._seats,
            self._relay,
            self._progress,
            self._reopening,
            self._ask_rerun,
            control,
        )
        self._unanswered = Unanswered()
        timeout = self._home.config.peer_timeout
        self._silence = Silence(self._store, self._roster, self._coordinator, self._own, self._peers, timeout)
        self._show = Show(
            self._store, self._roster, self._coordinator, self._own, traffic, self._unanswered, self._silence.since
        )
        undelivered = Undelivered(self._store, self._roster, self._coordinator)
        self._courier = Courier(self._store, self._deliver, undelivered)

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; ``ready`` is called when both doors are open."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._store.event("opening", party=self._party)  # from here on the monotonic clock may count anew
        servers = [self._peer_server(), self._local_server()]
        for server in servers:
            await server.start()
        self._home.socket.chmod(0o600)
        self._worker_door.open(self._home.worker_socket)
        tasks = [asyncio.create_task(work) for work in self._work()]
        self._store.event("ready", party=self._party)
        ready()
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        self._seats.stop()
        self._relay.stop()
        await asyncio.gather(self._worker_door.close(DRAIN_S), *(server.stop(DRAIN_S) for server in servers))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._close()
        for task in tasks:
            if task in done:
                task.result()  # none of them ever ends: what ended one ends the gateway

    async def _close(self) -> None:
        await self._peers.close()
        await self._control.close()
        self._store.event("stopped", party=self._party)
        self._store.close()

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        others = sorted(self._home.config.peers)
        lanes = [self._courier.run(lane) for lane in (*others, self._party, EFFECTS, TRACKING)]
        relays = [self._relay.run(party) for party in others]
        reconciler = Reconciler(self._store, self._roster, self._own, self._control)
        notes = WaitNotes(self._store, self._roster, self._show, self._control)
        retention = Retention(self._store, self._roster, self._home, self._seats)
        overdue = Overdue(self._store, self._roster, self._peers, self._verdicts)
        watching = [overdue.run(), notes.run(), reconciler.run(), self._silence.run(), retention.run()]
        return [*lanes, *relays, *watching, self._progress.run(), self._call_missing(), self._tick()]

    async def _tick(self) -> None:
        """Look twice a second for what has waited too long, and for slots that a changed policy has added."""
        self._coordinator.recover()
        while True:
            self._own.leases.regrant()
            await asyncio.sleep(TICK_S)
            self._coordinator.tick()
            self._refusals.write()

    async def _call_missing(self) -> None:
        """Workers that the store knows and that did not come back after a restart are lost."""
        before = self._own.seated()
        await asyncio.sleep(RETURN_S)
        for seat, ti_id in before:
            if self._seats.at(seat) is None:
                self._own.lost(seat, ti_id)
        await asyncio.Event().wait()

    async def _deliver(self, letter: Letter) -> None:
        """Tell one letter: to a peer's door, or to the own parts without a socket."""
        if letter.kind == REPORT:
            report = job_pb2.StepReport.FromString(letter.body)
            report.serial, report.epoch = letter.id, letter.epoch
            reply = await self._to(letter.lane, "Report", report, self._take_report)
            self._own.reported(report, reply)
        elif letter.kind == COMMAND:
            await self._to(letter.lane, "Command", job_pb2.StepCommand.FromString(letter.body), self._take_command)
        elif letter.kind == VERDICT:
            await self._to(letter.lane, "Conclude", job_pb2.VerdictNotice.FromString(letter.body), self._take_verdict)
        elif letter.kind == REOPEN:
            await self._peers.call(letter.lane, "Reopen", job_pb2.RerunOrder.FromString(letter.body))
        elif letter.kind == REOPENED:
            await self._reopening.carry_out(job_pb2.RerunOrder.FromString(letter.body))
        elif letter.kind == EFFECTS:
            await self._verdicts.carry_out(job_pb2.VerdictNotice.FromString(letter.body))
        elif letter.kind == RESTORED:
            await self._verdicts.restore(job_pb2.VerdictNotice.FromString(letter.body))
        elif letter.kind == TRACKING:
            await self._verdicts.tell_hook(job_pb2.VerdictNotice.FromString(letter.body))

    async def _ask_rerun(self, order: job_pb2.RerunOrder) -> job_pb2.RerunAnswer:
        """Ask the job's coordinator, here or at its party."""
        initiator = order.job.initiator
        if initiator == self._party:
            return await self._reruns.ask(order)
        if initiator not in self._home.config.peers:
            raise ProtocolError("FED-340", f"job {order.job.job_id} of {initiator} is not known here")
        self._reopening.wished(order)
        answer: job_pb2.RerunAnswer = await self._peers.call(initiator, "AskRerun", order, timeout=ASK_RERUN_S)
        return answer

    async def _to(self, party: str, method: str, message: Any, own: Callable[[Any], Any]) -> Any:
        if party == self._party:
            return own(message)
        return await self._peers.call(party, method, message)

    def _take_report(self, report: job_pb2.StepReport) -> job_pb2.StepReportReply:
        return self._coordinator.report(self._party, report)

    def _take_command(self, command: job_pb2.StepCommand) -> None:
        self._own.order(command)

    def _take_verdict(self, notice: job_pb2.VerdictNotice) -> None:
        self._verdicts.adopt(notice)

    async def _tell_progress(self, party: str, report: job_pb2.StepReport) -> None:
        await self._to(party, "Report", report, self._take_report)

    def _peer_server(self) -> Any:
        service = PeerService(
            self._store,
            self._roster,
            self._agreement,
            self._coordinator,
            self._own,
            self._verdicts,
            self._relay,
            self._reopening,
            self._reruns,
        )
        server = grpc.aio.server(
            interceptors=[VerifyCaller(self._home.pinned(), self._refusals, self._throttle)], options=SERVER
        )
        service.add_to(server)
        config = self._home.config
        server.add_secure_port(f"{config.host}:{config.ports.gateway}", server_credentials(self._home))
        return server

    def _local_server(self) -> Any:
        admission = Admission(
            self._store,
            self._agreement,
            self._coordinator,
            self._peers,
            self._party,
            self._home.config.peer_timeout,
            self._unanswered,
        )
        service = LocalService(
            self._roster,
            self._agreement,
            admission,
            self._coordinator,
            self._own,
            self._show,
            self._waiting,
            self._reopening,
            self._ask_rerun,
            Abandonment(self._store, self._roster, self._peers, self._verdicts),
        )
        server = grpc.aio.server(options=LOCAL)
        local_pb2_grpc.add_LocalServicer_to_server(service, server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(f"unix:{self._home.socket}")
        return server


async def serve(
    home: PartyHome, acceptor: JobAcceptor, control: RunControl | None = None, on_verdict: VerdictHook = no_hook
) -> None:
    """Run the gateway of ``home`` until SIGTERM.

    When both doors are open, ``HOME/run/gateway.ready`` holds the process id.

    Args:
        acceptor: validates and installs pipelines.
        control: the party's scheduler; its own Airflow by default.
        on_verdict: told of every verdict, for what the gateway does not know of (tracking).
    """
    home.run.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.run.chmod(0o700)
    lock = _only_one(home.run / "gateway.lock")
    ready = home.run / "gateway.ready"
    try:
        gateway = Gateway(home, acceptor, control or AirflowClient(home), on_verdict)
        await gateway.serve(lambda: _announce(ready))
    finally:
        ready.unlink(missing_ok=True)
        os.close(lock)


def _slots(home: PartyHome) -> int:
    """Steps that may run here at once; none are started while the policy cannot be read."""
    try:
        return load_policy(home.policy).slots
    except PolicyError as error:
        log.warning("no slot is given: %s", error)
        return 0


def _share(home: PartyHome, initiator: str) -> int | None:
    """Slots that jobs of one initiator may have."""
    try:
        return load_policy(home.policy).share(initiator, home.config.party_id)
    except PolicyError:
        return 0  # there are none then


def _only_one(path: Path) -> int:
    """A lock that ends with the process: whoever holds it may replace a stale socket."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise PolicyError("FED-516", f"another gateway already serves {path.parent.parent}") from None
    (path.parent / "gateway.sock").unlink(missing_ok=True)
    return lock


def _announce(ready: Path) -> None:
    ready.write_text(f"{os.getpid()}\n")
    log.info("gateway ready")
