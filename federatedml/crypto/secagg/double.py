"""A contributor's side of double masks: the sum of those who are left, when some go away (Bonawitz et al. 2017, the
variant for an active server).

    round = DoubleRound(client, "weights", 3, threshold)
    round.offer(other) -> every other contributor, directly        round.notice -> aggregator
    words = round.mask(values, fixed, offers of all others)        -> aggregator
    signature = round.agree(survivors, as the aggregator says)     -> aggregator
    shares = round.reveal(signatures of the survivors)             -> aggregator

Beside the masks of pairs, with keys of this round alone, every contributor adds one of its own. It shares both secrets
out among all. Of who is left the aggregator gets the shares of the own mask, of who is gone those of the pairs' key,
and never both of anybody: a contributor reveals only after ``threshold`` survivors signed the same list as it did, and
signs one list a round. As threshold > n / 2, there are not enough for two lists. (2 * threshold - n - 1 contributors
who collude with the aggregator are borne.)

An offer must reach its receiver unseen and unchanged by the aggregator: over the channel between the two parties.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.secagg.client import Client, pair_mask
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.masks import Mask, masked_numbers
from federatedml.crypto.secagg.roster import PUBLIC_BYTES, Keys, mask_key, packed, pair_secret
from federatedml.crypto.secagg.shamir import SECRET_BYTES, is_share, split
from federatedml.errors import PolicyError, ProtocolError
from federatedml.federation.party import Member


@dataclass(frozen=True, repr=False)
class Offer:
    """For one other contributor: the key of the round, and a share of each of its two secrets (33 bytes each)."""

    public: bytes
    key_share: bytes
    seed_share: bytes


@dataclass(frozen=True)
class Notice:
    """For the aggregator: keys of the attempt and of the round, and SHA-256 that binds the own mask."""

    keys: Keys
    public: bytes
    commitment: bytes


def default_threshold(contributors: int) -> int:
    """More than two thirds: a third may go away, and nearly a third may collude with the aggregator."""
    return 2 * contributors // 3 + 1


class DoubleRound:
    """One vector of one contributor.

    Args:
        threshold: survivors that are needed, more than half of all contributors; the same at all.

    Raises:
        PolicyError: ``FED-763``, a threshold of half or less, or of more than all.
        ProtocolError: ``FED-765``, a second vector for this topic and round.
    """

    def __init__(self, client: Client, topic: str, round: int, threshold: int) -> None:
        members = client.roster.members
        if not len(members) < 2 * threshold <= 2 * len(members):
            text = f"a threshold of {threshold} among {len(members)} contributors"
            raise PolicyError("FED-763", f"{text}: more than half are needed, at most all")
        client.once(topic, round)
        self._client, self._topic, self._round, self._threshold = client, topic, round, threshold
        self._scalar, self._seed = os.urandom(SECRET_BYTES), os.urandom(SECRET_BYTES)
        self._private = X25519PrivateKey.from_private_bytes(self._scalar)
        shares = zip(
            split(self._scalar, threshold, len(members)), split(self._seed, threshold, len(members)), strict=True
        )
        self._offers = {member: Offer(self._public, *pair) for member, pair in zip(members, shares, strict=True)}
        self._held: dict[Member, Offer] = {}
        self._survivors: tuple[Member, ...] | None = None
        self._revealed = False

    @property
    def _public(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    @property
    def notice(self) -> Notice:
        """For the aggregator."""
        keys = self._client.roster.keys[self._client.me]
        return Notice(keys, self._public, commitment(self._seed, self._topic, self._round))

    def offer(self, to: Member) -> Offer:
        """For one other contributor, and nobody else."""
        return self._offers[to]

    def mask(
        self,
        values: Floats,
        fixed: FixedPoint,
        offers: Mapping[Member, Offer],
        weight: float = 1.0,
        compute: Compute = SERIAL,
    ) -> Words:
        """``values * weight`` (n,) under all masks, for the aggregator; as ``Client.mask``, once.

        Raises:
            ProtocolError: ``FED-762``, an offer is missing, too many or malformed.
        """
        me, members = self._client.me, set(self._client.roster.members)
        if self._held:
            raise ProtocolError("FED-765", f"{self._topic!r} of round {self._round} is masked already")
        if set(offers) != members - {me} or not all(map(_well_formed, offers.values())):
            raise ProtocolError("FED-762", "offers are not one of each other contributor, or malformed")
        self._client.check_scale(fixed)
        salt = self._client.roster.digest()
        secrets = {other: pair_secret(self._private, other, offer.public, salt) for other, offer in offers.items()}
        masks = [pair_mask(me, other, secret, self._topic, self._round) for other, secret in secrets.items()]
        words = masked_numbers(
            values, fixed, weight, [*masks, own_mask(self._seed, me, self._topic, self._round)], compute
        )
        self._held = {**offers, me: self._offers[me]}
        return words

    def agree(self, survivors: Sequence[Member]) -> bytes:
        """Sign who is left, once; for the aggregator.

        Raises:
            ProtocolError: ``FED-767``, the list is not sorted, names strangers or not this party, is shorter than the
                threshold, is of fewer parties than this one's least, is the second one, or comes before the words.
        """
        found, members = tuple(survivors), self._client.roster.members
        proper = list(found) == sorted(set(found)) and set(found) <= set(members) and self._client.me in found
        parties = {member.party for member in found}
        if not proper or len(found) < self._threshold or len(parties) < self._client.least:
            text = f"the list of {len(found)} survivors of {len(members)}"
            raise ProtocolError("FED-767", f"{text} is too short, names strangers, or leaves out who is here")
        if not self._held or self._survivors not in (None, found):
            raise ProtocolError("FED-767", "a list of survivors before the words, or another one than before")
        self._survivors = found
        return self._client.secrets.sign.sign(self._statement())

    def reveal(self, signatures: Mapping[Member, bytes]) -> dict[Member, bytes]:
        """A share of one secret of every contributor: of the own mask's of who is left, of the key's of who is gone.

        Raises:
            ProtocolError: ``FED-767``, fewer than ``threshold`` survivors signed the list that this party signed, a
                signature is wrong or no survivor's, or shares were revealed before.
        """
        if self._survivors is None or self._revealed or not set(signatures) <= set(self._survivors):
            raise ProtocolError("FED-767", "shares are asked for too early, twice, or with strangers' signatures")
        signed = sum(self._signed(member, signature) for member, signature in signatures.items())
        if signed < self._threshold:
            raise ProtocolError("FED-767", f"{signed} survivors signed the list, {self._threshold} are needed")
        self._revealed = True
        left = set(self._survivors)
        return {m: offer.seed_share if m in left else offer.key_share for m, offer in self._held.items()}

    def _signed(self, member: Member, signature: bytes) -> bool:
        key = Ed25519PublicKey.from_public_bytes(self._client.roster.keys[member].verify)
        try:
            key.verify(signature, self._statement())
        except InvalidSignature:
            raise ProtocolError("FED-767", f"{member} signed another list of survivors, or none") from None
        return True

    def _statement(self) -> bytes:
        names = [str(member).encode() for member in self._survivors or ()]
        fields = (self._client.roster.digest(), self._topic.encode(), self._round.to_bytes(8, "big"))
        return packed(b"airfed secure sum, survivors", *fields, *names)


def own_mask(seed: bytes, member: Member, topic: str, round: int) -> Mask:
    """The mask that a contributor shares with nobody."""
    return Mask(mask_key(seed, b"own", topic.encode(), round.to_bytes(8, "big"), str(member).encode()))


def commitment(seed: bytes, topic: str, round: int) -> bytes:
    """What binds the seed of an own mask; it hides 32 uniform bytes."""
    return hashlib.sha256(packed(b"airfed secure sum, seed", topic.encode(), round.to_bytes(8, "big"), seed)).digest()


def _well_formed(offer: Offer) -> bool:
    return len(offer.public) == PUBLIC_BYTES and is_share(offer.key_share) and is_share(offer.seed_share)
