"""A task that waits without a process. One loop runs the triggers of a whole party, so nothing here blocks it, and
nothing heavy is imported."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable
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


class _GatewayTrigger(BaseTrigger):
    """Fires when the own gateway answers a call, which lasts as long as there is nothing to do.

    The answer is kept by the gateway, so one that came while the triggerer was away is found at once.

    Args:
        kept: what is stored of the trigger.
    """

    def __init__(self, **kept: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept = kept
        self._asking: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What is stored: the home is known where it runs."""
        return f"{__name__}.{type(self).__name__}", dict(self.kept)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask until there is an answer."""
        # A call that is cancelled raises an error of its own, by which Airflow could not tell why it was cancelled.
        self._asking = asyncio.ensure_future(self._ask(PartyHome(Path(os.environ["AIRFED_HOME"])).socket))
        await asyncio.shield(self._asking)
        yield TriggerEvent(self._waited_for())  # type: ignore[no-untyped-call]

    async def cleanup(self) -> None:
        """Nobody waits any longer."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self, socket: Path) -> None:
        pause = FIRST_PAUSE_S
        while not await self._answered(socket):
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _answered(self, socket: Path) -> bool:
        """One call, as long as it takes; a refusal is an answer, too: the task will be told it in words."""
        try:
            await self._call(local_pb2_grpc.LocalStub(_channel(socket)))  # type: ignore[no-untyped-call]
        except grpc.aio.AioRpcError as error:
            if error.code() not in FINAL:
                return False
            log.warning("the gateway does not let %s wait: %s", self._waited_for(), error.details())
        return True

    def _call(self, stub: Any) -> Awaitable[Any]:
        """Ask once."""
        raise NotImplementedError

    def _waited_for(self) -> str:
        """In a word: what the event says."""
        raise NotImplementedError


class StepTrigger(_GatewayTrigger):
    """Fires when the step is called, or decided: the task then joins again and hears which.

    Args:
        initiator, job_id, component, member: the seat; ``member`` is ``ROLE_PARTY``.
        task_instance_id: Airflow's ``ti.id``, the same before and after.
    """

    def __init__(self, *, initiator: str, job_id: str, component: str, member: str, task_instance_id: str) -> None:
        super().__init__(
            initiator=initiator, job_id=job_id, component=component, member=member, task_instance_id=task_instance_id
        )

    def _call(self, stub: Any) -> Awaitable[Any]:
        request = local_pb2.AwaitRequest(
            job=common_pb2.JobKey(initiator=self.kept["initiator"], job_id=self.kept["job_id"]),
            component=self.kept["component"],
            member=member_pb(Member.parse(self.kept["member"])),
            task_instance_id=self.kept["task_instance_id"],
        )
        answer: Awaitable[Any] = stub.Await(request)
        return answer

    def _waited_for(self) -> str:
        return self.kept["component"]


class AdmissionTrigger(_GatewayTrigger):
    """Fires when the parties of a proposed job have answered, or nobody asks them any more: the gateway has started
    again, and ``federate`` has it go on.

    Args:
        initiator, job_id: the job.
    """

    def __init__(self, *, initiator: str, job_id: str) -> None:
        super().__init__(initiator=initiator, job_id=job_id)

    def _call(self, stub: Any) -> Awaitable[Any]:
        answer: Awaitable[Any] = stub.AwaitAdmission(common_pb2.JobKey(**self.kept))
        return answer

    def _waited_for(self) -> str:
        return "federate"


def _channel(socket: Path) -> grpc.aio.Channel:
    """One channel per gateway; a channel belongs to the loop that it was made in."""
    channels = _CHANNELS.setdefault(asyncio.get_running_loop(), {})
    if socket not in channels:
        channels[socket] = grpc.aio.insecure_channel(f"unix:{socket}", OPTIONS)
    return channels[socket]
