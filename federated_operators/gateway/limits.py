"""How much of messages is kept where: settings of a party, bytes."""

from __future__ import annotations

from dataclasses import dataclass

from federated_operators.gateway.frames import CHUNK_BYTES
from federatedml.federation.home import TransportSettings

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bytes.

    Attributes:
        window: of one worker on their way to one member, not yet acknowledged.
        unacknowledged: of one worker that were sent and not acknowledged; ``send`` waits beyond it.
        in_memory: of bodies that a worker has not read yet; large ones beyond it go to an unlinked file.
        held: of bodies that a busy role function has not read, beyond which senders are not told to go on.
        unread: of bodies that may wait for a role function.
        body: of one message.
        queue: that a gateway keeps for one peer, and for one worker.
    """

    window: int = 16 * MIB
    unacknowledged: int = 128 * MIB
    in_memory: int = 64 * MIB
    held: int = 1024 * MIB
    unread: int = 4096 * MIB
    body: int = 1024 * MIB
    queue: int = 128 * MIB

    @classmethod
    def of(cls, settings: TransportSettings) -> Limits:
        """As ``party.yaml`` says."""
        return cls(**{name: mib * MIB for name, mib in settings.model_dump().items()})

    @property
    def chunks(self) -> int:
        """Of one message."""
        return max(1, -(-self.body // CHUNK_BYTES))
