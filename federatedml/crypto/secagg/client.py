"""A contributor's side of plain pairwise masks.

    newcomer = Newcomer(me, contributors, attempt)      # keys -> every other contributor
    agreed = newcomer.agree(keys of the others)         # digest -> every other contributor
    client = agreed.confirm(digests of the others)
    words = client.mask(values, fixed, "weights", 3)    # -> aggregator

Every pair of contributors i < j has a mask per (topic, round), which i adds and j subtracts; in the sum of all they
cancel (Bonawitz et al. 2017, section 4.0.1, without drop-outs). If one contributor is missing, the words that are there
stay uniform and the attempt ends: keys are those of one attempt, so nothing of it can be continued with fewer.

Security: semi-honest contributors, any aggregator. Whoever colludes with all contributors but one learns that one's
values; the sum itself tells each of two contributors what the other one has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from federatedml.compute.engine import SERIAL, Compute
from federatedml.crypto.ring import Floats, Words
from federatedml.crypto.secagg.fixed import FixedPoint
from federatedml.crypto.secagg.masks import Mask, masked_numbers
from federatedml.crypto.secagg.roster import Keys, Roster, Secrets, mask_key, pair_secret
from federatedml.errors import PolicyError, ProtocolError
from federatedml.federation.box import AttemptKey
from federatedml.federation.party import Member

MIN_CONTRIBUTORS = 3  # the sum of two tells each the other's values


class Newcomer:
    """A contributor with fresh keys, who knows nobody's yet.

    Args:
        contributors: all, this one included.
        least: below how many parties this one does not contribute.

    Raises:
        PolicyError: ``FED-763``, there are fewer.
    """

    def __init__(
        self, me: Member, contributors: Sequence[Member], attempt: AttemptKey, least: int = MIN_CONTRIBUTORS
    ) -> None:
        parties = {member.party for member in contributors}
        if me not in contributors or len(parties) < max(least, 2):
            text = f"a secure sum of {len(parties)} contributors, at least {max(least, 2)} parties are needed"
            raise PolicyError("FED-763", text)
        self.me, self.attempt, self.least, self._secrets = me, attempt, max(least, 2), Secrets()
        self.others = tuple(sorted(set(contributors) - {me}))

    @property
    def keys(self) -> Keys:
        """For every other contributor, directly."""
        return self._secrets.public()

    def agree(self, keys: Mapping[Member, Keys]) -> Agreed:
        """Take the others' keys; ``ProtocolError`` (``FED-762``) if they are not exactly theirs."""
        if set(keys) != set(self.others):
            raise ProtocolError("FED-762", "keys came from others than the contributors")
        return Agreed(self.me, Roster(self.attempt, {**keys, self.me: self.keys}), self._secrets, self.least)


class Agreed:
    """A contributor that has all keys, and does not know yet whether all others have the same."""

    def __init__(self, me: Member, roster: Roster, secrets: Secrets, least: int) -> None:
        self.me, self.roster, self.least, self._secrets = me, roster, least, secrets

    @property
    def digest(self) -> bytes:
        """For every other contributor, directly."""
        return self.roster.digest()

    def confirm(self, digests: Mapping[Member, bytes]) -> Client:
        """Compare; ``ProtocolError`` (``FED-764``) names who has other keys."""
        others = set(self.roster.members) - {self.me}
        differing = sorted(str(member) for member in others if digests.get(member) != self.digest)
        if differing or set(digests) != others:
            text = f"{', '.join(differing) or 'a stranger'} did not confirm the keys of all contributors"
            raise ProtocolError("FED-764", text, "somebody between the parties replaces keys, or a contributor lies")
        return Client(self.me, self.roster, self._secrets, self.least)


class Client:
    """A contributor that masks."""

    def __init__(self, me: Member, roster: Roster, secrets: Secrets, least: int) -> None:
        self.me, self.roster, self.secrets, self.least = me, roster, secrets, least
        self._used = set[tuple[str, int]]()
        self._pairs = {
            other: pair_secret(secrets.exchange, other, roster.keys[other].exchange, roster.digest())
            for other in roster.members
            if other != me
        }

    def mask(
        self,
        values: Floats,
        fixed: FixedPoint,
        topic: str,
        round: int,
        weight: float = 1.0,
        compute: Compute = SERIAL,
        alike: bytes = b"",
    ) -> Words:
        """``values * weight`` (n,) as words that look uniform to whoever lacks one other contributor's.

        Args:
            weight: at most 1: sample weights are normalised first, by a sum of counts.
            alike: what all contributors were told before they computed ``values``: masks cancel only if it is the same
                at all of them. Otherwise an aggregator could tell all but one what makes their values known.

        Raises:
            DataError: ``FED-761``, a value is out of bounds.
            ProtocolError: ``FED-765``, a second vector for this topic and round; their difference would be open.
        """
        self.once(topic, round)
        self.check_scale(fixed)
        masks = [pair_mask(self.me, other, secret, topic, round, alike) for other, secret in self._pairs.items()]
        return masked_numbers(values, fixed, weight, masks, compute)

    def check_scale(self, fixed: FixedPoint) -> None:
        """``ProtocolError`` (``FED-760``) unless a scale is made for all contributors."""
        if fixed.contributors < len(self.roster.members):
            text = f"a scale for {fixed.contributors} of {len(self.roster.members)} contributors"
            raise ProtocolError("FED-760", text)

    def once(self, topic: str, round: int) -> None:
        """Note that the masks of a topic and round are taken."""
        if (topic, round) in self._used:
            raise ProtocolError("FED-765", f"{topic!r} of round {round} is masked already")
        self._used.add((topic, round))


def pair_mask(me: Member, other: Member, secret: bytes, topic: str, round: int, alike: bytes = b"") -> Mask:
    """The mask of a pair, as ``me`` applies it."""
    low, high = sorted((me, other))
    purpose = [b"pair", topic.encode(), round.to_bytes(8, "big"), str(low).encode(), str(high).encode()]
    return Mask(mask_key(secret, *purpose, *([alike] if alike else [])), me == high)
