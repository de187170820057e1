"""A task that waits without a process. One loop runs the triggers of a whole party, so nothing here blocks it, and
nothing heavy is imported."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import grpc
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airfed_proto.v1 import common_pb2, local_pb2, local_pb2_grpc
from federated_operators.gateway.client import OPTIONS
from federated_operators.gateway.names import member_pb
from federatedml.federation.home import PartyHome
from federatedml.federation.party import Member

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
FINAL = frozenset(  # the gateway has answered, and will answer the same again
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_CHANNELS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, grpc.aio.Channel]] = WeakKeyDictionary()


class StepTrigger(BaseTrigger):
    """Fires when the step is called, or decided: the task then joins again and hears which.

    The answer is kept by the gateway, so one that came while the triggerer was away is found at once.

    Args:
        initiator, job_id, component, member: the seat; ``member`` is ``ROLE_PARTY``.
        task_instance_id: Airflow's ``ti.id``, the same before and after.
    """

    def __init__(self, *, initiator: str, job_id: str, component: str, member: str, task_instance_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seat = {
            "initiator": initiator,
            "job_id": job_id,
            "component": component,
            "member": member,
            "task_instance_id": task_instance_id,
        }
        self._asking: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What is stored: the home is known where it runs."""
        return "federated_operators.trigger.StepTrigger", self.seat

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask until there is an answer."""
        # A call that is cancelled raises an error of its own, by which Airflow could not tell why it was cancelled.
        self._asking = asyncio.ensure_future(self._ask(PartyHome(Path(os.environ["AIRFED_HOME"])).socket))
        await asyncio.shield(self._asking)
        yield TriggerEvent(self.seat["component"])  # type: ignore[no-untyped-call]

    async def cleanup(self) -> None:
        """Nobody waits any longer."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self, socket: Path) -> None:
        request = local_pb2.AwaitRequest(
            job=common_pb2.JobKey(initiator=self.seat["initiator"], job_id=self.seat["job_id"]),
            component=self.seat["component"],
            member=member_pb(Member.parse(self.seat["member"])),
            task_instance_id=self.seat["task_instance_id"],
        )
        pause = FIRST_PAUSE_S
        while not await _answered(socket, request):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


async def _answered(socket: Path, request: local_pb2.AwaitRequest) -> bool:
    """One call, as long as it takes; a refusal is an answer, too: the task will be told it in words."""
    try:
        await local_pb2_grpc.LocalStub(_channel(socket)).Await(request)  # type: ignore[no-untyped-call]
    except grpc.aio.AioRpcError as error:
        if error.code() not in FINAL:
            return False
        log.warning("the gateway does not let %s wait: %s", request.component, error.details())
    return True


def _channel(socket: Path) -> grpc.aio.Channel:
    """One channel per gateway; a channel belongs to the loop that it was made in."""
    channels = _CHANNELS.setdefault(asyncio.get_running_loop(), {})
    if socket not in channels:
        channels[socket] = grpc.aio.insecure_channel(f"unix:{socket}", OPTIONS)
    return channels[socket]
