"""Messages of one attempt in this process's memory, over a network that misbehaves as it is told.

The contract is the gateways': delivery at least once, effect exactly once, damaged bodies refused and sent again.
Messages are asked for by key: their order is nothing that a component could see.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from federatedml.errors import AttemptEnded, PeerError, ProtocolError
from federatedml.federation.box import MessageKey, Transport
from federatedml.federation.party import Member


@dataclass
class Faults:
    """What goes wrong. Rates are probabilities per message.

    Attributes:
        drop: lost, and sent again.
        duplicate: comes twice.
        truncate: comes cut short, and again.
        kill: member -> number of the point (``local.Point``, counted over all attempts) at which it dies.
    """

    seed: int = 0
    drop: float = 0.0
    duplicate: float = 0.0
    truncate: float = 0.0
    kill: Mapping[Member, int] = field(default_factory=dict)


class Exchange(Protocol):
    """Messages of one attempt between its members."""

    def transport(self, me: Member) -> Transport:
        """What ``me`` sends and receives by; waiting calls raise ``AttemptEnded`` when the attempt ends."""
        ...

    def end(self, reason: str) -> None:
        """The attempt is over; a second reason changes nothing."""
        ...

    def unread(self) -> list[MessageKey]:
        """Messages that arrived and that nobody received."""
        ...


class Weather:
    """Draws a network's faults; one for all attempts, so that a seed names a whole run."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.refused = 0  # damaged bodies that were noticed
        self._random = random.Random(faults.seed)  # noqa: S311 - faults, not secrets
        self._lock = threading.Lock()

    def deliveries(self, body: bytes) -> list[bytes]:
        """What arrives of one message: the sender repeats what was dropped or damaged until it is acknowledged."""
        with self._lock:
            arrived: list[bytes] = []
            while self._random.random() < self.faults.drop:
                pass
            while body and self._random.random() < self.faults.truncate:
                arrived.append(body[: self._random.randrange(len(body))])
            arrived.append(body)
            if self._random.random() < self.faults.duplicate:
                arrived.append(body)
            return arrived

    def intact(self, body: bytes, digest: int) -> bool:
        """Whether a body is what was sent."""
        if hash(body) == digest:
            return True
        self.refused += 1
        return False


class MemoryExchange:
    """Mailboxes of one attempt, shared by its members.

    Args:
        timeout: seconds that a ``recv`` waits before the step is called dead-locked.
    """

    def __init__(self, weather: Weather, timeout: float) -> None:
        self._weather, self._timeout = weather, timeout
        self._lock = threading.Lock()
        self._awaited: dict[MessageKey, SimpleQueue[None]] = {}  # what comes for others wakes nobody
        self._mail: dict[MessageKey, bytes] = {}  # until it is received
        self._came: dict[MessageKey, int] = {}  # digest of everything that came; nobody here forges one
        self._ended: str | None = None

    def transport(self, me: Member) -> Transport:
        """The same for all: keys name sender and receiver."""
        return self

    def send(self, key: MessageKey, body: bytes) -> None:
        """Deliver."""
        digest = hash(body)
        arrived = [found for found in self._weather.deliveries(body) if self._weather.intact(found, digest)]
        with self._lock:
            if self._ended is not None:
                raise AttemptEnded(self._ended)
            if key not in self._came:
                self._mail[key] = arrived[0]
            if self._came.setdefault(key, digest) != digest:
                raise ProtocolError("FED-305", f"{key.topic!r} of round {key.round} came twice with different bodies")
            if key in self._awaited:
                self._awaited[key].put(None)

    def recv(self, key: MessageKey) -> bytes:
        """Wait for the message of that key."""
        with self._lock:
            if key in self._mail:
                return self._mail.pop(key)
            if self._ended is not None:
                raise AttemptEnded(self._ended)
            came = self._awaited[key] = SimpleQueue()
        try:
            came.get(timeout=self._timeout)
        except Empty:
            raise PeerError("FED-410", f"{key.topic!r} of round {key.round} from {key.source} did not come") from None
        with self._lock:
            del self._awaited[key]
            if key not in self._mail:
                raise AttemptEnded(str(self._ended))
            return self._mail.pop(key)

    def end(self, reason: str) -> None:
        """Waiting members wake up."""
        with self._lock:
            self._ended = self._ended or reason
            for came in self._awaited.values():
                came.put(None)

    def unread(self) -> list[MessageKey]:
        """Messages that nobody received."""
        return list(self._mail)
