"""The box of a role function: send, receive, checkpoint, report. The same over memory and over gateways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from federatedml.compute.engine import SERIAL, Compute
from federatedml.errors import ProtocolError
from federatedml.federation.budget import UNLIMITED, Budget
from federatedml.federation.checkpoint import Checkpoint, CheckpointStore, State
from federatedml.federation.party import Member
from federatedml.federation.seal import UNSEALED, Seal
from federatedml.federation.topic import Topic
from federatedml.federation.vault import Forgetful, Vault

T = TypeVar("T")


@dataclass(frozen=True)
class AttemptKey:
    """Names one try of one component of one job; part of every message's key and of every derived secret.

    Attributes:
        scope: names of the part of the component that has this key, and of the parts around it.
    """

    initiator: str
    job_id: str
    component: str
    generation: int
    attempt: int
    scope: tuple[str, ...] = ()

    def context(self) -> bytes:
        """Unambiguous bytes for key derivation."""
        numbers = (str(self.generation), str(self.attempt))
        parts = (self.initiator, self.job_id, self.component, *numbers, *self.scope)
        return b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)


@dataclass(frozen=True)
class MessageKey:
    """Address of a message within an attempt. A key is used once."""

    topic: str
    round: int
    source: Member
    destination: Member


class Transport(Protocol):
    """Carries encoded messages of one attempt. ``recv`` raises ``AttemptEnded`` when the attempt ends."""

    def send(self, key: MessageKey, body: bytes) -> None:
        """Take the message and return; delivery is the transport's business."""
        ...

    def recv(self, key: MessageKey) -> bytes:
        """Wait for the message of that key."""
        ...


@dataclass(frozen=True)
class MetricPoint:
    """One point of a metric, in FATE's terms: namespace, name, key (x) and value."""

    namespace: str
    name: str
    key: float
    value: float
    round: int | None = None  # the checkpoint round that covers it; None: with the outputs


@dataclass
class Box:
    """All that a role function sees of the world.

    Only declared topics pass, and only from and to the roles that they name; the receiving side checks the same.
    """

    me: Member
    members: Sequence[Member]
    topics: Mapping[str, Topic[object]]
    transport: Transport
    attempt: AttemptKey
    checkpoints: CheckpointStore
    resume: Checkpoint | None = None
    compute: Compute = SERIAL
    budget: Budget = UNLIMITED
    vault: Vault = field(default_factory=Forgetful)
    seal: Seal = UNSEALED
    tables: Sequence[str] = ()  # this party's stored tables that the step's data come from; empty: it is not known
    on_metric: Callable[[MetricPoint], None] = lambda _: None
    on_progress: Callable[[float, str], None] = lambda *_: None
    on_checkpoint: Callable[[Checkpoint], None] = lambda _: None
    rounds: int = 2**62  # how many this box has; those of the wire have 63 bits
    _sent: set[MessageKey] = field(default_factory=set)

    def peers(self, topic: Topic[T]) -> list[Member]:
        """Members that may send ``topic`` to me, in the order of the job's members."""
        return [m for m in self.members if m != self.me and m.role in topic.source]

    def send(self, topic: Topic[T], value: T, round: int = 0, to: Member | None = None) -> None:
        """Send ``value`` to ``to``, or to every other member whose role the topic names."""
        self._declared(topic)
        if self.me.role not in topic.source:
            raise ProtocolError("FED-301", f"{self.me.role} may not send {topic.name!r}")
        targets = [m for m in self.members if m != self.me and m.role in topic.to]
        if to is not None:
            if to not in targets:
                raise ProtocolError("FED-301", f"{to} may not receive {topic.name!r}")
            targets = [to]
        body = topic.codec.encode(value)
        if len(body) > topic.max_bytes:
            raise ProtocolError(
                "FED-302", f"{topic.name!r} is {len(body)} bytes, at most {topic.max_bytes} are declared"
            )
        for target in targets:
            key = MessageKey(topic.name, round, self.me, target)
            if key in self._sent:
                raise ProtocolError("FED-303", f"{topic.name!r} of round {round} was already sent to {target}")
            self._sent.add(key)
            self.transport.send(key, body)

    def recv(self, topic: Topic[T], round: int = 0, source: Member | None = None) -> T:
        """The value that the one possible sender (or ``source``) sent in ``round``."""
        senders = self.peers(topic)
        if source is None:
            if len(senders) != 1:
                raise ProtocolError("FED-304", f"{topic.name!r} has {len(senders)} senders: name one, or use gather")
            source = senders[0]
        return self._take(topic, round, source)

    def gather(self, topic: Topic[T], round: int = 0) -> dict[Member, T]:
        """The values of all senders."""
        return {member: self._take(topic, round, member) for member in self.peers(topic)}

    def checkpoint(self, round: int, state: State) -> None:
        """Store plain state (arrays and numbers; no keys, no ciphertexts) after ``round`` is complete."""
        self.on_checkpoint(self.checkpoints.store(self.attempt.attempt, round, state))

    def metric(self, namespace: str, name: str, key: float, value: float, round: int | None = None) -> None:
        """Report one point; it reaches people when its round is covered by a checkpoint or the outputs."""
        self.on_metric(MetricPoint(namespace, name, key, value, round))

    def progress(self, done: float, text: str = "") -> None:
        """Tell people how far the component is; ``done`` from 0 to 1.

        The job's initiator sees it, whatever its role: the text holds nothing that depends on data.
        """
        self.on_progress(min(max(done, 0.0), 1.0), text)

    def _take(self, topic: Topic[T], round: int, source: Member) -> T:
        self._declared(topic)
        if self.me.role not in topic.to or source.role not in topic.source:
            raise ProtocolError("FED-301", f"{self.me.role} may not receive {topic.name!r} from {source}")
        body = self.transport.recv(MessageKey(topic.name, round, source, self.me))
        if len(body) > topic.max_bytes:
            raise ProtocolError(
                "FED-302", f"{topic.name!r} is {len(body)} bytes, at most {topic.max_bytes} are declared"
            )
        return topic.codec.decode(body)

    def _declared(self, topic: Topic[T]) -> None:
        if self.topics.get(topic.name) is not topic:
            raise ProtocolError("FED-300", f"topic {topic.name!r} is not declared by the component")
