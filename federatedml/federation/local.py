"""All members of a step in one process, a thread each: simulation, tests, notebooks.

The network can be told to misbehave (drop, duplicate, truncate) and to kill a member at its n-th call, so that
every component is tested against the contract that the gateways keep: at-least-once delivery, exactly-once effect,
attempts that resume from the newest checkpoint which all members have.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from federatedml.component import Component, Inputs, Outputs
from federatedml.errors import AttemptEnded, PeerError, ProtocolError
from federatedml.federation.box import AttemptKey, Box, MessageKey, MetricPoint
from federatedml.federation.checkpoint import CheckpointStore
from federatedml.federation.party import Member


class Killed(BaseException):
    """The member 'died' here (fault injection)."""


@dataclass
class Faults:
    """What the network does wrong. Rates are probabilities per message; ``kill`` maps a member to the number of
    its send or receive calls (counted over all attempts) at which it dies."""

    seed: int = 0
    drop: float = 0.0
    duplicate: float = 0.0
    truncate: float = 0.0
    kill: Mapping[Member, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """One message as a network observer sees it."""

    key: MessageKey
    size: int
    body: bytes


class _Attempt:
    """Mailboxes of one attempt, shared by its members."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.mail: dict[MessageKey, bytes] = {}
        self.read: set[MessageKey] = set()
        self.ended: str | None = None

    def end(self, reason: str) -> None:
        with self.condition:
            self.ended = self.ended or reason
            self.condition.notify_all()


class _Wire:
    """Transport of one member over an attempt's mailboxes."""

    def __init__(self, attempt: _Attempt, network: LocalNetwork, me: Member) -> None:
        self.attempt, self.network, self.me = attempt, network, me

    def send(self, key: MessageKey, body: bytes) -> None:
        self.network.count(self.me)
        for delivered in self.network.deliveries(key, body):
            self._arrive(key, delivered, hashlib.sha256(body).digest())

    def recv(self, key: MessageKey) -> bytes:
        self.network.count(self.me)
        with self.attempt.condition:
            while key not in self.attempt.mail:
                if self.attempt.ended is not None:
                    raise AttemptEnded(self.attempt.ended)
                if not self.attempt.condition.wait(self.network.timeout):
                    raise PeerError("FED-401", f"{key.topic!r} of round {key.round} from {key.source} did not come")
            self.attempt.read.add(key)
            return self.attempt.mail[key]

    def _arrive(self, key: MessageKey, body: bytes, digest: bytes) -> None:
        if hashlib.sha256(body).digest() != digest:
            self.network.refused += 1
            return
        with self.attempt.condition:
            if self.attempt.ended is not None:
                raise AttemptEnded(self.attempt.ended)
            if self.attempt.mail.setdefault(key, body) != body:
                raise ProtocolError("FED-305", f"{key.topic!r} of round {key.round} came twice with different bodies")
            self.attempt.condition.notify_all()


@dataclass
class StepResult:
    """Outputs per member, and what was seen on the way.

    Attributes:
        metrics: points of the last attempt, and those of earlier ones whose round its checkpoint covers.
        sent: every message of every attempt.
        unread: messages of the last attempt that nobody received.
    """

    outputs: dict[Member, Outputs]
    metrics: dict[Member, list[MetricPoint]]
    sent: list[Sent]
    unread: list[MessageKey]
    attempts: int


class LocalNetwork:
    """Runs steps with all members in this process.

    Args:
        folder: where checkpoints go, one sub-folder per member.
        timeout: seconds that a ``recv`` waits before the step is called dead-locked.
    """

    def __init__(
        self, folder: Path, faults: Faults | None = None, timeout: float = 60.0, max_attempts: int = 20
    ) -> None:
        self.folder, self.faults, self.timeout, self.max_attempts = folder, faults or Faults(), timeout, max_attempts
        self.sent: list[Sent] = []
        self.refused = 0
        self._random = random.Random(self.faults.seed)  # noqa: S311 - faults, not secrets
        self._calls: dict[Member, int] = {}
        self._lock = threading.Lock()

    def count(self, member: Member) -> None:
        """Count a call of ``member``; it dies here if the faults say so."""
        with self._lock:
            self._calls[member] = self._calls.get(member, 0) + 1
            fatal = self.faults.kill.get(member) == self._calls[member]
        if fatal:
            raise Killed(f"{member} at call {self._calls[member]}")

    def calls(self, member: Member) -> int:
        """Send and receive calls of ``member`` so far."""
        return self._calls.get(member, 0)

    def deliveries(self, key: MessageKey, body: bytes) -> list[bytes]:
        """What arrives of one message: the sender repeats what was dropped or damaged until it is acknowledged."""
        with self._lock:
            self.sent.append(Sent(key, len(body), body))
            arrived: list[bytes] = []
            while self._random.random() < self.faults.drop:
                pass
            while body and self._random.random() < self.faults.truncate:
                arrived.append(body[: self._random.randrange(len(body))])
            arrived.append(body)
            if self._random.random() < self.faults.duplicate:
                arrived.append(body)
            return arrived

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
        stores = {m: CheckpointStore(self.folder / name / str(m)) for m in members}
        stored: dict[Member, dict[tuple[int, int], bytes]] = {m: {} for m in members}
        first = len(self.sent)
        covered: dict[Member, list[MetricPoint]] = {m: [] for m in members}
        for attempt in range(1, self.max_attempts + 1):
            resume = _newest_common(stored)
            shared = _Attempt()
            run = _Run(self, component, name, (initiator, job_id), members, shared, attempt, _covered(covered, resume))
            threads = [
                threading.Thread(
                    target=run.member,
                    args=(m, params[m], inputs[m], stores[m], stored[m], resume, on_progress),
                    daemon=True,
                )
                for m in members
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if run.error is not None:
                raise run.error
            if len(run.outputs) == len(members):
                unread = [key for key in shared.mail if key not in shared.read]
                return StepResult(run.outputs, run.metrics, self.sent[first:], unread, attempt)
            covered = run.metrics
        raise PeerError("FED-402", f"{name or component.module}: no attempt of {self.max_attempts} came to an end")


@dataclass
class _Run:
    network: LocalNetwork
    component: Component
    name: str
    job: tuple[str, str]
    members: Sequence[Member]
    shared: _Attempt
    attempt: int
    metrics: dict[Member, list[MetricPoint]]
    outputs: dict[Member, Outputs] = field(default_factory=dict)
    error: Exception | None = None

    def member(
        self,
        me: Member,
        params: Any,
        inputs: Inputs,
        store: CheckpointStore,
        stored: dict[tuple[int, int], bytes],
        resume: tuple[int, int] | None,
        on_progress: Callable[[Member, float, str], None],
    ) -> None:
        key = AttemptKey(*self.job, self.name or self.component.module, 1, self.attempt)
        box = Box(
            me,
            self.members,
            self.component.topic_table(),
            _Wire(self.shared, self.network, me),
            key,
            store,
            resume=store.load(*resume, stored[resume]) if resume else None,
            on_metric=self.metrics[me].append,
            on_progress=lambda done, text: on_progress(me, done, text),
            on_checkpoint=lambda c: stored.__setitem__((c.attempt, c.round), c.digest),
        )
        try:
            self.outputs[me] = self.component.roles[me.role](params, box, inputs)
        except AttemptEnded:
            pass
        except Killed as death:
            self.shared.end(str(death))
        except Exception as error:
            self.error = self.error or error
            self.shared.end(f"{me} failed")


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
