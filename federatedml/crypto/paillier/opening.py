"""The owner of the key: it decrypts what its plan allows, nothing else, and tells nobody why it refused.

A key owner that decrypts whatever comes is an oracle: a peer re-sends a ciphertext in another round or under another
topic, or damages it and watches the error. So what may be opened is fixed before the first message, each (topic, round)
is opened once in an attempt, and every refusal has the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federatedml.crypto.codec import Floats, descale
from federatedml.crypto.paillier.checks import ciphertexts
from federatedml.crypto.paillier.keys import PrivateKey
from federatedml.crypto.paillier.parts import packed
from federatedml.crypto.paillier.slots import apart
from federatedml.crypto.paillier.vectors import ModularShare
from federatedml.crypto.vector import Opened, Reply
from federatedml.errors import ProtocolError

FLOAT_BITS = 1023  # below which an integer is a float


@dataclass(frozen=True)
class Allowance:
    """What may be opened under one topic: messages of the rounds below ``rounds`` with ``count`` ciphertexts each."""

    rounds: int
    count: int


@dataclass(frozen=True)
class Opener:
    """Decrypts by plan. One for all topics of an attempt.

    Args:
        private: this party's key.
        plan: topic name -> what may be opened.
        threads: in which it decrypts.
    """

    private: PrivateKey
    plan: Mapping[str, Allowance]
    threads: int = 1
    _done: set[tuple[str, int]] = field(default_factory=set)

    def values(self, topic: str, round_: int, reply: Reply) -> Floats:
        """Elements that the holder revealed, (count,); refused, whatever it is, if one may pass a float."""
        if (reply.slot_bits or self.private.public.bits) - reply.scale_bits > FLOAT_BITS:
            raise _refused(topic, round_)
        return descale(self.integers(topic, round_, reply), reply.scale_bits)

    def integers(self, topic: str, round_: int, reply: Reply) -> list[int]:
        """The same as the integers that they stand for; without what floods them."""
        numbers = [self.private.public.signed(m) for m in self._plaintexts(topic, round_, reply)]
        if reply.slot_bits:
            return [apart(number, reply.slot_bits, 1)[0] for number in numbers]
        return numbers

    def share(self, topic: str, round_: int, reply: Reply) -> ModularShare:
        """This party's share of elements that the holder masked."""
        return ModularShare(self.private.public, self._plaintexts(topic, round_, reply), reply.scale_bits)

    def masked(self, topic: str, round_: int, reply: Reply) -> Opened:
        """Plaintexts under the holder's masks, to be returned to the holder."""
        public, numbers = self.private.public, self._plaintexts(topic, round_, reply)
        body = packed(numbers, public.plain_width)
        shape = (len(numbers), public.plain_width, reply.scale_bits)
        return Opened(reply.scheme, public.key_id, *shape, body, reply.slot_bits)

    def _plaintexts(self, topic: str, round_: int, reply: Reply) -> list[int]:
        allowed = self.plan.get(topic)
        try:
            if allowed is None or round_ not in range(allowed.rounds) or (topic, round_) in self._done:
                raise ProtocolError("FED-709", "not in the plan")
            self._done.add((topic, round_))
            if reply.count != allowed.count:
                raise ProtocolError("FED-709", "another length")
            return self.private.decrypt(ciphertexts(self.private.public, reply), self.threads)
        except ProtocolError:
            raise _refused(topic, round_) from None


def _refused(topic: str, round_: int) -> ProtocolError:
    return ProtocolError("FED-709", f"the message {topic!r} of round {round_} is not opened")
