"""All members of a step in one process, a thread each: simulation, tests, notebooks.

The network can be told to misbehave (``memory.Faults``) and to kill a member wherever it meets the world (``Point``),
so that every component is tested against the contract that the gateways keep: at-least-once delivery, exactly-once
effect, attempts that resume from the newest checkpoint which all members have.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from federatedml.component import Component, Inputs, Outputs
from federatedml.compute.engine import SERIAL, Compute
from federatedml.errors import AttemptEnded, PeerError
from federatedml.federation.box import AttemptKey, Box, MessageKey, MetricPoint, Transport
from federatedml.federation.checkpoint import Checkpoint, CheckpointStore, State
from federatedml.federation.memory import Exchange, Faults, MemoryExchange, Weather
from federatedml.federation.party import Member
from federatedml.federation.seal import UNSEALED, Seal


class Killed(BaseException):
    """The member 'died' here (fault injection)."""


class Point(StrEnum):
    """Where a member can die: before it sends or receives, before a checkpoint is on disk, between that and its being
    known, and with its outputs in hand."""

    SEND = "send"
    RECV = "recv"
    STORE = "store"
    TELL = "tell"
    FINISH = "finish"


@dataclass(frozen=True)
class Reached:
    """A member came to a point of an attempt."""

    attempt: int
    member: Member
    point: Point
    round: int


@dataclass(frozen=True)
class Sent:
    """One message as a network observer sees it."""

    key: MessageKey
    size: int
    body: bytes


@dataclass(frozen=True)
class _Watched:
    """A member's transport and checkpoints, every use of which is a point."""

    inner: Transport
    reach: Callable[[Point, int], None]
    sent: list[Sent]
    bodies: bool

    def send(self, key: MessageKey, body: bytes) -> None:
        self.reach(Point.SEND, key.round)
        self.sent.append(Sent(key, len(body), body if self.bodies else b""))
        self.inner.send(key, body)

    def recv(self, key: MessageKey) -> bytes:
        self.reach(Point.RECV, key.round)
        return self.inner.recv(key)


class _WatchedStore(CheckpointStore):
    def __init__(self, folder: Path, reach: Callable[[Point, int], None]) -> None:
        super().__init__(folder)
        self._reach = reach

    def store(self, attempt: int, round: int, state: State) -> Checkpoint:
        self._reach(Point.STORE, round)
        stored = super().store(attempt, round, state)
        self._reach(Point.TELL, round)
        return stored


@dataclass
class StepResult:
    """Outputs per member, and what was seen on the way.

    Attributes:
        metrics: points of the last attempt, and those of earlier ones whose round its checkpoint covers.
        sent: every message of every attempt.
        unread: messages of the last attempt that nobody received.
        resumed: per attempt, the round of the checkpoint that it started from; None: from the beginning.
        reached: where the members were, in every attempt.
    """

    outputs: dict[Member, Outputs]
    metrics: dict[Member, list[MetricPoint]]
    sent: list[Sent]
    unread: list[MessageKey]
    resumed: list[int | None]
    reached: list[Reached]

    @property
    def attempts(self) -> int:
        """How often the members started."""
        return len(self.resumed)


class LocalNetwork:
    """Runs steps with all members in this process.

    Args:
        folder: where checkpoints go, one sub-folder per member.
        timeout: seconds that a ``recv`` waits before the step is called dead-locked.
        compute: the machine's cores, once for all members.
        bodies: keep every message as an observer sees it; without, only its key and size.
        seals: what members sign with; by default nothing, they are in one process.
    """

    def __init__(
        self,
        folder: Path,
        faults: Faults | None = None,
        timeout: float = 60.0,
        max_attempts: int = 20,
        compute: Compute = SERIAL,
        bodies: bool = True,
        seals: Mapping[Member, Seal] | None = None,
    ) -> None:
        self.folder, self.faults, self.timeout, self.max_attempts = folder, faults or Faults(), timeout, max_attempts
        self.compute, self.bodies, self.seals = compute, bodies, seals or {}
        self.weather = Weather(self.faults)
        self.sent: list[Sent] = []
        self.reached: list[Reached] = []
        self._points: Counter[Member] = Counter()
        self._lock = threading.Lock()

    def exchange(self, attempt: AttemptKey, members: Sequence[Member]) -> Exchange:
        """What carries the messages of an attempt."""
        return MemoryExchange(self.weather, self.timeout)

    def reach(self, at: Reached) -> None:
        """Note that a member is at a point; it dies here if the faults say so."""
        with self._lock:
            self.reached.append(at)
            self._points[at.member] += 1
            number = self._points[at.member]
        if self.faults.kill.get(at.member) == number:
            raise Killed(f"{at.member} at point {number}")

    def run(
        self,
        component: Component,
        params: Mapping[Member, Any],
        inputs: Mapping[Member, Inputs],
        name: str = "",
        job_id: str = "simulation",
        initiator: str = "",
        on_progress: Callable[[Member, float, str], None] = lambda *_: None,
    ) -> StepResult:
        """Run one step to its end.

        Args:
            params: validated parameters of every member that takes part; its keys are the members.
            inputs: inputs of every member.

        Raises:
            FedError: the first error of any member's role function.
        """
        members = sorted(params)
        component = component.variant(component, params[members[0]])
        stored: dict[Member, dict[tuple[int, int], bytes]] = {m: {} for m in members}
        covered: dict[Member, list[MetricPoint]] = {m: [] for m in members}
        resumed: list[int | None] = []
        sent, reached = len(self.sent), len(self.reached)
        for attempt in range(1, self.max_attempts + 1):
            resume = _newest_common(stored)
            resumed.append(resume and resume[1])
            key = AttemptKey(initiator, job_id, name or component.module, 1, attempt)
            run = _Run(self, component, key, members, self.exchange(key, members), _covered(covered, resume))
            run.all(params, inputs, stored, resume, self.folder / name, on_progress)
            if run.error is not None:
                raise run.error
            if len(run.outputs) == len(members):
                unread = run.exchange.unread()
                return StepResult(run.outputs, run.metrics, self.sent[sent:], unread, resumed, self.reached[reached:])
            covered = run.metrics
        raise PeerError("FED-402", f"{name or component.module}: no attempt of {self.max_attempts} came to an end")


@dataclass
class _Run:
    """One attempt."""

    network: LocalNetwork
    component: Component
    key: AttemptKey
    members: Sequence[Member]
    exchange: Exchange
    metrics: dict[Member, list[MetricPoint]]
    outputs: dict[Member, Outputs] = field(default_factory=dict)
    error: Exception | None = None

    def all(
        self,
        params: Mapping[Member, Any],
        inputs: Mapping[Member, Inputs],
        stored: Mapping[Member, dict[tuple[int, int], bytes]],
        resume: tuple[int, int] | None,
        folder: Path,
        on_progress: Callable[[Member, float, str], None],
    ) -> None:
        """Run every member in a thread of its own; returns when all have ended."""
        threads = []
        for me in self.members:
            box = self._box(me, stored[me], resume, folder / str(me), on_progress)
            thread = threading.Thread(target=self._member, args=(box, params[me], inputs[me]), daemon=True)
            threads.append(thread)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.exchange.end("the attempt is done")

    def _box(
        self,
        me: Member,
        stored: dict[tuple[int, int], bytes],
        resume: tuple[int, int] | None,
        folder: Path,
        on_progress: Callable[[Member, float, str], None],
    ) -> Box:
        reach = partial(self._reach, me)
        store = _WatchedStore(folder, reach)
        store.prune(*(resume or (0, 0)))  # as a worker does
        return Box(
            me,
            self.members,
            self.component.topic_table(),
            _Watched(self.exchange.transport(me), reach, self.network.sent, self.network.bodies),
            self.key,
            store,
            resume=store.load(*resume, stored[resume]) if resume else None,
            compute=self.network.compute,
            seal=self.network.seals.get(me, UNSEALED),
            on_metric=self.metrics[me].append,
            on_progress=partial(on_progress, me),
            on_checkpoint=lambda c: stored.__setitem__((c.attempt, c.round), c.digest),
        )

    def _reach(self, me: Member, point: Point, round: int) -> None:
        self.network.reach(Reached(self.key.attempt, me, point, round))

    def _member(self, box: Box, params: Any, inputs: Inputs) -> None:
        try:
            outputs = self.component.roles[box.me.role](params, box, inputs)
            self._reach(box.me, Point.FINISH, 0)
            self.outputs[box.me] = outputs
        except AttemptEnded:
            pass
        except Killed as death:
            self.exchange.end(str(death))
        except Exception as error:
            self.error = self.error or error
            self.exchange.end(f"{box.me} failed")


def _newest_common(stored: Mapping[Member, Mapping[tuple[int, int], Any]]) -> tuple[int, int] | None:
    common = set.intersection(*(set(refs) for refs in stored.values()))
    return max(common, default=None)


def _covered(
    points: Mapping[Member, Sequence[MetricPoint]], resume: tuple[int, int] | None
) -> dict[Member, list[MetricPoint]]:
    """What remains of an attempt's points when the next one resumes: those whose round the checkpoint covers."""
    newest = -1 if resume is None else resume[1]
    return {
        member: [point for point in found if point.round is not None and point.round <= newest]
        for member, found in points.items()
    }
