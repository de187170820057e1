"""A network in this process that notes who sent and received what, and that may change a message on its way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from federatedml.conformance.case import TIMEOUT_S
from federatedml.federation.box import AttemptKey, MessageKey, Transport
from federatedml.federation.local import LocalNetwork
from federatedml.federation.memory import Exchange
from federatedml.federation.party import Member

Tamper = Callable[[MessageKey, bytes], bytes]


@dataclass(frozen=True)
class Event:
    """A message left its sender, or reached its receiver's hands."""

    key: MessageKey
    size: int
    sent: bool


class Witness(LocalNetwork):
    """Notes events of the whole step in an order in which a message is sent before it is received."""

    def __init__(self, folder: Path, tamper: Tamper = lambda _key, body: body, timeout: float = TIMEOUT_S) -> None:
        super().__init__(folder, timeout=timeout)
        self.tamper = tamper
        self.events: list[Event] = []

    def exchange(self, attempt: AttemptKey, members: Sequence[Member]) -> Exchange:
        """Watched."""
        return _Watched(super().exchange(attempt, members), self)


@dataclass(frozen=True)
class _Watched:
    inner: Exchange
    witness: Witness

    def transport(self, me: Member) -> Transport:
        return _Ear(self.inner.transport(me), self.witness)

    def end(self, reason: str) -> None:
        self.inner.end(reason)

    def unread(self) -> list[MessageKey]:
        return self.inner.unread()


@dataclass(frozen=True)
class _Ear:
    inner: Transport
    witness: Witness

    def send(self, key: MessageKey, body: bytes) -> None:
        self.witness.events.append(Event(key, len(body), True))
        self.inner.send(key, self.witness.tamper(key, body))

    def recv(self, key: MessageKey) -> bytes:
        body = self.inner.recv(key)
        self.witness.events.append(Event(key, len(body), False))
        return body
