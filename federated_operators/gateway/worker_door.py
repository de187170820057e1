"""The door for this party's own workers: a Unix socket that only its user can open, a stream per worker."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from pathlib import Path

from airfed_proto.v1 import common_pb2 as pb
from airfed_proto.v1 import local_pb2
from federated_operators.gateway.agreement import Agreement
from federated_operators.gateway.connection import Connection
from federated_operators.gateway.frames import Kind
from federated_operators.gateway.names import Seat, failure_pb
from federated_operators.gateway.own_steps import OwnSteps
from federated_operators.gateway.policy import load_policy
from federated_operators.gateway.progress import Progress
from federated_operators.gateway.relay import Relay
from federated_operators.gateway.reopening import Ask, Reopening
from federated_operators.gateway.roster import Roster
from federated_operators.gateway.runs import Run, RunControl
from federated_operators.gateway.seats import Attachment, Seats
from federatedml.errors import FedError, ProtocolError

BACKLOG = 128
AGAIN_S = 0.5  # pause of a worker that cannot be judged now
HELLO = local_pb2.GatewayFrame().SerializeToString()  # somebody is here, even if there is nothing to say for hours
Frame = local_pb2.GatewayFrame
log = logging.getLogger(__name__)


class WorkerDoor:
    """Serves workers for as long as they live."""

    def __init__(
        self,
        roster: Roster,
        agreement: Agreement,
        own: OwnSteps,
        seats: Seats,
        relay: Relay,
        progress: Progress,
        reopening: Reopening,
        ask_rerun: Ask,
        control: RunControl,
    ) -> None:
        self._control = control
        self._roster, self._agreement, self._own, self._seats = roster, agreement, own, seats
        self._relay, self._progress, self._reopening, self._ask_rerun = relay, progress, reopening, ask_rerun
        self._serving: set[asyncio.Task[None]] = set()
        self._door: socket.socket | None = None

    def open(self, path: Path) -> None:
        """Listen."""
        path.unlink(missing_ok=True)
        self._door = door = socket.socket(socket.AF_UNIX)
        door.setblocking(False)
        door.bind(str(path))
        path.chmod(0o600)
        door.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(door, self._accept, door)

    async def close(self, seconds: float) -> None:
        """Let nobody in any more; streams that are open may end for so long."""
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door)
            self._door.close()
        if self._serving:
            await asyncio.wait(self._serving, timeout=seconds)
        for task in self._serving:
            task.cancel()

    def _accept(self, door: socket.socket) -> None:
        try:
            sock, _ = door.accept()
        except OSError:
            return
        task = asyncio.create_task(self._serve(Connection(sock)))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, connection: Connection) -> None:
        """A worker for as long as it lives."""
        try:
            connection.say(HELLO)
            if first := await connection.first():
                await self._join(connection, *first)
        except Exception:
            log.exception("a worker's stream broke")
        finally:
            connection.end()

    async def _join(self, connection: Connection, kind: Kind, content: bytearray) -> None:
        join = local_pb2.WorkerFrame.FromString(content).join if kind == Kind.CONTROL else local_pb2.Join()  # type: ignore[arg-type]
        try:
            seat = Seat.of(pb.StepKey(job=join.job, component=join.component), join.member)
            self._own.check_join(seat, join)
            await self._reopening.judge(self._roster.plan(seat.job, seat.member), self._ask_rerun)
            await self._check_alive(seat, join)
        except FedError as error:
            if error.retryable:  # it comes again, and nothing is decided before
                log.info("a worker of %s waits: %s", join.component, error)
                return await asyncio.sleep(AGAIN_S)
            return connection.say(Frame(failed=failure_pb(error)).SerializeToString())
        attachment = self._seats.take(seat, join.task_instance_id)
        attachment.on_more = connection.more
        connection.send_from(attachment.next_frame, lambda: attachment.closed)
        try:
            self._own.join(seat, join)
            connection.take(partial(self._take, attachment))
            await connection.ended.wait()
        finally:
            attachment.close()
            if self._seats.leave(attachment):
                self._progress.forget(seat)
                self._own.lost(seat, attachment.ti_id)

    async def _check_alive(self, seat: Seat, join: local_pb2.Join) -> None:
        """Of two processes of one task the live one is that which the scheduler names; it is asked when a second comes.

        Raises:
            ProtocolError: the task has a newer process than this one.
            PeerError: the scheduler does not answer.
        """
        if self._own.process(seat) in ("", join.task_instance_id):
            return
        plan = self._roster.plan(seat.job, seat.member)
        current = await self._control.process(Run(plan.dag_id, plan.job_id), seat.component)
        if current not in (None, join.task_instance_id):
            raise ProtocolError("FED-346", f"another process of {seat.component} has this one's place")

    def _take(self, attachment: Attachment, kind: Kind, content: bytearray) -> None:
        """A frame of the worker."""
        if attachment.dismissed:
            return
        if kind == Kind.PIECE:
            self._relay.from_worker(attachment.seat, content)
        elif kind == Kind.RECEIPTS:
            receipts = pb.Receipts.FromString(content).receipts  # type: ignore[arg-type]
            self._relay.receipts_from_worker(attachment.seat, receipts)
        else:
            self._take_control(attachment.seat, local_pb2.WorkerFrame.FromString(content))  # type: ignore[arg-type]

    def _take_control(self, seat: Seat, frame: local_pb2.WorkerFrame) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "checkpoint":
            self._own.checkpoint(seat, frame.checkpoint)
        elif kind == "prepared":
            self._prepared(seat, frame.prepared.outputs)
        elif kind == "failed":
            self._own.failed(seat, frame.failed)
        elif kind == "progress":
            self._progress.set(seat, frame.progress.done, frame.progress.text)
        elif kind == "rejoin":
            self._own.rejoin(seat)
        elif kind == "defer":
            self._own.defer(seat)

    def _prepared(self, seat: Seat, outputs: bytes) -> None:
        """Outputs that the policy does not allow are a failure of the step."""
        module = self._roster.plan(seat.job).modules.get(seat.component, seat.component)
        try:
            load_policy(self._agreement.home.policy).check_outputs(module, outputs)
        except FedError as error:
            return self._own.failed(seat, failure_pb(error, seat.member, seat.component))
        return self._own.prepared(seat, outputs)
