"""The trigger of a deferred step over a real socket: it fires once, whatever happens to the gateway meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from airfed_proto.v1 import common_pb2, local_pb2, local_pb2_grpc

pytestmark = pytest.mark.timeout(60)
SEAT = {
    "initiator": "9999",
    "job_id": "202601010000000000001",
    "component": "lr_0",
    "member": "host_10000",
    "task_instance_id": "ti",
}
TRIGGER = "federated_operators.trigger"


JOB = {"initiator": "9999", "job_id": "202601010000000000001"}
TRIGGERS = [("StepTrigger", SEAT, "lr_0"), ("AdmissionTrigger", JOB, "federate")]


class Door(local_pb2_grpc.LocalServicer):
    """What a gateway's triggers call: answers when it is told to, or refuses."""

    def __init__(self, refusal: grpc.StatusCode | None = None) -> None:
        self.refusal, self.called = refusal, asyncio.Event()
        self.asked: list[Any] = []
        self.left = 0

    async def Await(self, request: local_pb2.AwaitRequest, context: Any) -> local_pb2.AwaitReply:
        return await self._answer(request, context)

    async def AwaitAdmission(self, request: common_pb2.JobKey, context: Any) -> local_pb2.AwaitReply:
        return await self._answer(request, context)

    async def _answer(self, request: Any, context: Any) -> local_pb2.AwaitReply:
        self.asked.append(request)
        if self.refusal:
            await context.abort(self.refusal, "no")
        try:
            await self.called.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return local_pb2.AwaitReply()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFED_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    (tmp_path / "run").mkdir()
    return tmp_path


@asynccontextmanager
async def serving(home: Path, door: Door) -> AsyncIterator[None]:
    server = grpc.aio.server()
    local_pb2_grpc.add_LocalServicer_to_server(door, server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix:{home / 'run/gateway.sock'}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)


def waiting(name: str = "StepTrigger", stored: dict[str, str] = SEAT) -> tuple[Any, asyncio.Task[Any]]:
    """A trigger as the triggerer makes it, from what was stored, and its task."""
    from airflow._shared.module_loading import import_string

    classpath, kwargs = import_string(f"{TRIGGER}.{name}")(**stored).serialize()
    assert classpath == f"{TRIGGER}.{name}"
    trigger = import_string(classpath)(**json.loads(json.dumps(kwargs)))

    async def first() -> Any:
        return [event.payload async for event in trigger.run()]

    return trigger, asyncio.ensure_future(first())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_nothing_heavy_is_imported(home: Path) -> None:
    code = f"import airflow.sdk, sys; before = set(sys.modules); import {TRIGGER}; print(*set(sys.modules) - before)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert not {"numpy", "pandas", "pyarrow", "mlflow", "airflow.models"} & set(out.stdout.split())


def test_fires_once_when_the_step_is_called(home: Path) -> None:
    async def work() -> None:
        door = Door()
        async with serving(home, door):
            _, task = waiting()
            await until(lambda: door.asked)
            assert not task.done()
            door.called.set()
            assert await task == ["lr_0"]
        (asked,) = door.asked
        assert (asked.job.initiator, asked.job.job_id, asked.component) == ("9999", SEAT["job_id"], "lr_0")
        assert (asked.member.role, asked.member.party_id, asked.task_instance_id) == ("host", "10000", "ti")

    run(work())


def test_fires_once_when_the_parties_have_answered(home: Path) -> None:
    async def work() -> None:
        door = Door()
        async with serving(home, door):
            _, task = waiting("AdmissionTrigger", JOB)
            await until(lambda: door.asked)
            assert not task.done()
            door.called.set()
            assert await task == ["federate"]
        assert door.asked == [common_pb2.JobKey(**JOB)]

    run(work())


@pytest.mark.parametrize(("name", "stored", "event"), TRIGGERS)
def test_a_gateway_that_comes_and_goes_is_asked_again(
    home: Path, name: str, stored: dict[str, str], event: str
) -> None:
    async def work() -> None:
        _, task = waiting(name, stored)
        first, second = Door(), Door()
        async with serving(home, first):
            await until(lambda: first.asked)
        assert not task.done()
        second.called.set()
        async with serving(home, second):
            assert await task == [event]

    run(work())


@pytest.mark.parametrize(("name", "stored", "event"), TRIGGERS)
def test_a_refusal_wakes_the_task_which_then_hears_it_in_words(
    home: Path, name: str, stored: dict[str, str], event: str
) -> None:
    async def work() -> None:
        async with serving(home, Door(grpc.StatusCode.PERMISSION_DENIED)):
            _, task = waiting(name, stored)
            assert await task == [event]

    run(work())


def test_a_cancelled_trigger_says_why_and_leaves_the_gateway(home: Path) -> None:
    async def work() -> None:
        door = Door()
        async with serving(home, door):
            trigger, task = waiting()
            await until(lambda: door.asked)
            task.cancel("by a person")
            with pytest.raises(asyncio.CancelledError) as cancelled:
                await task
            assert cancelled.value.args == ("by a person",)  # Airflow decides by these words whether to call on_kill
            assert door.left == 0
            await trigger.cleanup()
            await until(lambda: door.left == 1)
            with suppress(asyncio.CancelledError):
                await trigger._asking

    run(work())
