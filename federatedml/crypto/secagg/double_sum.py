"""The aggregator's side of double masks: adds what comes, asks who is left, opens the sum of those.

total = DoubleSum(attempt, notices, "weights", 3, threshold, length)
total.add(member, words)               for all that came in time
total.survivors()                      -> the survivors, who sign; all signatures -> each of them
total.numbers(reveals, fixed)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.secagg.aggregator import Sum
from federatedml.crypto.secagg.client import pair_mask
from federatedml.crypto.secagg.double import Notice, commitment, own_mask
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.masks import Mask, masked_words
from federatedml.crypto.secagg.roster import Roster, pair_secret
from federatedml.crypto.secagg.shamir import join
from federatedml.errors import PeerError, ProtocolError
from federatedml.federation.box import AttemptKey
from federatedml.federation.party import Member


class DoubleSum:
    """The sum of one topic and round.

    Args:
        notices: of all contributors.
        length: words of a contribution.

    Raises:
        ProtocolError: ``FED-762``, keys are malformed.
    """

    def __init__(
        self,
        attempt: AttemptKey,
        notices: Mapping[Member, Notice],
        topic: str,
        round: int,
        threshold: int,
        length: int,
    ) -> None:
        self._roster = Roster(attempt, {member: notice.keys for member, notice in notices.items()})
        self._notices, self._topic, self._round, self._threshold = dict(notices), topic, round, threshold
        self._sum, self._closed = Sum(notices, length), False

    def add(self, member: Member, words: Words) -> None:
        """Take a contribution, as ``Sum.add``; none after ``survivors``."""
        if self._closed:
            raise ProtocolError("FED-766", f"{member} contributes too late")
        self._sum.add(member, words)

    def survivors(self) -> tuple[Member, ...]:
        """Who is left; nothing is taken after this. ``PeerError`` (``FED-769``) if these are too few."""
        self._closed = True
        left = tuple(member for member in self._roster.members if member not in self._sum.missing)
        if len(left) < self._threshold:
            text = f"{len(left)} of {len(self._notices)} contributions came"
            raise PeerError("FED-769", f"{text}, {self._threshold} are needed")
        return left

    def numbers(
        self, reveals: Mapping[Member, Mapping[Member, bytes]], fixed: FixedPoint, compute: Compute = SERIAL
    ) -> Floats:
        """The sum of the survivors' values, from what at least ``threshold`` of them reveal.

        Raises:
            PeerError: ``FED-769``, too few revealed.
            ProtocolError: ``FED-768``, shares are missing, wrong, or give other secrets than were announced.
        """
        survivors = self.survivors()
        if len(reveals) < self._threshold or not set(reveals) <= set(survivors):
            raise PeerError("FED-769", f"{len(reveals)} survivors revealed shares, {self._threshold} are needed")
        return fixed.decode(masked_words(self._sum.total, list(self._masks(reveals)), compute))

    def _masks(self, reveals: Mapping[Member, Mapping[Member, bytes]]) -> Iterator[Mask]:
        """What takes away all that did not cancel."""
        for member in self._roster.members:
            secret = self._secret(member, reveals)
            if member in self._sum.missing:
                yield from self._pair_masks(member, secret)
            else:
                yield self._own_mask(member, secret).inverse()

    def _secret(self, of: Member, reveals: Mapping[Member, Mapping[Member, bytes]]) -> bytes:
        indices = {member: index for index, member in enumerate(self._roster.members, start=1)}
        absent = [str(member) for member, shares in reveals.items() if of not in shares]
        if absent:
            raise ProtocolError("FED-768", f"{', '.join(absent)} revealed no share of a secret of {of}")
        shares = {indices[member]: revealed[of] for member, revealed in reveals.items()}
        return join(shares, self._threshold, len(indices))

    def _own_mask(self, member: Member, seed: bytes) -> Mask:
        if commitment(seed, self._topic, self._round) != self._notices[member].commitment:
            raise ProtocolError("FED-768", f"shares give another own mask of {member} than it announced")
        return own_mask(seed, member, self._topic, self._round)

    def _pair_masks(self, gone: Member, scalar: bytes) -> Iterator[Mask]:
        """What the survivors applied for one who is gone."""
        private = X25519PrivateKey.from_private_bytes(scalar)
        if private.public_key().public_bytes_raw() != self._notices[gone].public:
            raise ProtocolError("FED-768", f"shares give another key of {gone} than it announced")
        for member in self.survivors():
            secret = pair_secret(private, member, self._notices[member].public, self._roster.digest())
            yield pair_mask(member, gone, secret, self._topic, self._round).inverse()
